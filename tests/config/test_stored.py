import json

import pytest
from ml_collections import ConfigDict

from experiments import food10
from foodjax.config import check as config_lib
from foodjax.config import keys, stored
from foodjax.system.errors import UserError
from foodjax.workdir import description as workdir_lib

ADDED = [key for group in stored.ADDED_LATER for key in group]


def stored_text(*missing, **changes):
    """The JSON of food10 without some keys, and with others."""
    config = json.loads(stored.to_json(food10.get_config())) | changes
    for key in missing:
        *parts, last = key.split(".")
        inner = config
        for part in parts:
            inner = inner[part]
        del inner[last]
        if not inner:  # eval had no key before
            del config[parts[0]]
    return json.dumps(config)


def without_kind(text):
    config = json.loads(text)
    for block in config["model"]["blocks"]:
        del block["kind"]
    return json.dumps(config)


def test_json_round_trip_is_exact():
    config = food10.get_config()
    again = stored.from_json(stored.to_json(config))
    assert config_lib.difference(config, again, ignore=()) is None
    assert isinstance(again.model.blocks[0], ConfigDict)
    assert again.augment.brightness == (0.1, 0.7)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"name": "x"}', '{"model": {"blocks": 3}}', '{"model": 1}'])
def test_a_damaged_stored_config_is_a_user_error(text):
    with pytest.raises(UserError):
        stored.from_json(text)


def test_every_key_is_an_old_one_or_has_what_it_meant_before_it_was_there():
    default = dict(config_lib.flatten(food10.get_config()))
    assert {key: value for group in stored.ADDED_LATER for key, value in group.items()} == {
        key: default[key] for key in ADDED
    }
    assert len(ADDED) == len(set(ADDED))
    assert set(ADDED) <= keys.SCHEMA.keys()
    old = keys.SCHEMA.keys() - set(ADDED)
    assert len(old) == 32, "a new key of the config needs a line in stored_config.ADDED_LATER"


@pytest.mark.parametrize("age", range(len(stored.ADDED_LATER)))
def test_what_was_stored_before_a_key_was_there_is_read(age):
    missing = [key for group in stored.ADDED_LATER[age:] for key in group]
    texts = [stored_text(*missing)] + ([without_kind(stored_text(*missing))] if age < 3 else [])
    for text in texts:
        assert config_lib.difference(stored.from_json(text), food10.get_config(), ignore=()) is None


def test_an_older_workdir_is_the_experiment_that_it_was(tmp_path):
    (tmp_path / "config.json").write_text(without_kind(stored_text(*ADDED)))
    (tmp_path / "dataset.json").write_text('{"class_names": ["a", "b"]}')
    config = food10.get_config()
    assert workdir_lib.check(tmp_path, config)
    config.augment.mixup = 0.2
    with pytest.raises(UserError, match="augment.mixup is 0.0 here and 0.2 there"):
        workdir_lib.check(tmp_path, config)


@pytest.mark.parametrize(
    "text,words",
    [
        (
            stored_text("train.patience", "data.resize"),
            "it lacks data.resize, train.patience: needs the foodjax",
        ),
        # It came with augment.mixup, which is there: nobody ever stored one without the other.
        (stored_text("augment.mixup_alpha"), "it lacks augment.mixup_alpha: needs"),
        (stored_text(later=3), "config has no key 'later'"),
        (stored_text(seed=-1), "seed is -1: needs an integer"),
        (stored_text(eval=3), "it lacks eval.size"),
        (stored_text(eval={"size": {}}), "it lacks eval.size"),
    ],
)
def test_what_another_foodjax_stored_is_told_from_damage(tmp_path, text, words):
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "dataset.json").write_text('{"class_names": ["a", "b"]}')
    with pytest.raises(UserError) as caught:
        workdir_lib.read_description(tmp_path)
    assert words in str(caught.value)
    assert "made by another foodjax" in str(caught.value)
    assert "damaged" not in str(caught.value)
    (tmp_path / "config.json").write_text(text[:-1])
    with pytest.raises(UserError, match="is damaged: not a stored config"):
        workdir_lib.read_description(tmp_path)
