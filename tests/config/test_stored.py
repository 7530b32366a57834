import json

import pytest

from experiments import food10, food10_fast
from foodjax.config import check, replaced, stored
from foodjax.config.blocks import Conv
from foodjax.config.check import checked
from foodjax.config.keys import table
from foodjax.system.errors import UserError
from foodjax.workdir import description

CONFIG = checked(food10.get_config())
OLD = check.replace(
    CONFIG, {"data.decoding": "plain", "model.convolutions": "xla"}
)  # as a run was that an older version stored
# Formats that had no number yet, and what came with each.
CAME = {since: [name for name, key in table().items() if key.since == since] for since in range(1, 7)}
LATER = [name for names in CAME.values() for name in names]
OLD_NAMES = {name: key.was for name, key in table().items() if key.was}


def stored_text(*missing, format=0, **changes):
    """The JSON of food10 without some keys, and with others; of format 0 by the names of then."""
    config = json.loads(stored.to_json(CONFIG)) | changes
    config["format"] = format
    if not format:
        del config["format"]
    for name in missing:
        group, _, last = name.rpartition(".")
        inner = config
        for part in filter(None, group.split(".")):
            inner = inner[part]
        del inner[last]
        if not inner:  # eval had no key before
            del config[group]
    if not format:
        for name, old in OLD_NAMES.items():
            group, last = name.split(".")
            if last in config.get(group, {}):
                config[group][old.split(".")[1]] = config[group].pop(last)
        for name in [name for name, key in table().items() if key.since > 6]:
            group, last = name.split(".")
            if isinstance(config.get(group), dict):
                config[group].pop(last, None)
    return json.dumps(config)


def without_kind(text):
    config = json.loads(text)
    for block in config["model"]["blocks"]:
        del block["kind"]
    return json.dumps(config)


@pytest.mark.parametrize("experiment", [food10, food10_fast])
def test_json_round_trip_is_exact(experiment):
    config = checked(experiment.get_config())
    assert stored.from_json(stored.to_json(config)) == config


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"name": "x"}', '{"model": {"blocks": 3}}', '{"model": 1}'])
def test_a_damaged_stored_config_is_a_user_error(text):
    with pytest.raises(UserError):
        stored.from_json(text)


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_json_of_any_depth_is_a_user_error(depth):
    with pytest.raises(UserError):
        stored.from_json('{"a":' * depth + "1" + "}" * depth)


def test_the_first_format_had_32_keys_and_no_numbered_one_loses_a_key():
    assert sum(key.since == 0 for key in table().values()) == 32
    gone = {since: [name for name, key in replaced.KEYS.items() if key.since == since] for since in CAME}
    assert {len(CAME[since] + gone[since]) for since in CAME} == {1, 2, 3, 4, 30}
    assert stored.current_format() >= 7


@pytest.mark.parametrize("age", range(1, 8))
def test_a_config_stored_before_a_key_was_there_is_read(age):
    missing = [name for since, names in CAME.items() if since >= age for name in names]
    texts = [stored_text(*missing)] + ([without_kind(stored_text(*missing))] if age <= 3 else [])
    for text in texts:
        assert check.difference(stored.from_json(text), OLD, ignore=()) is None


def test_an_older_workdir_is_the_experiment_that_it_was(tmp_path):
    (tmp_path / "config.json").write_text(without_kind(stored_text(*LATER)))
    (tmp_path / "dataset.json").write_text('{"class_names": ["a", "b"]}')
    assert description.check(tmp_path, OLD)
    with pytest.raises(UserError, match="augment.mixup is 0.0 here and 0.2 there"):
        description.check(tmp_path, check.replace(OLD, {"augment.mixup": 0.2}))


def test_an_older_run_continues_with_the_decoding_that_it_began_with(tmp_path, capsys):
    assert description.continued(tmp_path, CONFIG) is CONFIG
    (tmp_path / "config.json").write_text(stored_text(*LATER))
    (tmp_path / "dataset.json").write_text('{"class_names": ["a", "b"]}')
    for _ in range(2):  # the second time as this version stores it
        assert description.continued(tmp_path, CONFIG) == OLD
        assert description.continued(tmp_path, OLD) is OLD
        assert capsys.readouterr().out == f"{tmp_path} continues with data.decoding=plain, as it began\n"
        description.write_description(tmp_path, OLD, ("a", "b"))
    description.write_description(tmp_path / "new", CONFIG, ("a", "b"))
    assert description.continued(tmp_path / "new", OLD) is OLD
    with pytest.raises(UserError, match="data.decoding is 'viewer' here and 'plain' there"):
        description.check(tmp_path / "new", OLD)


def test_a_run_keeps_the_convolutions_that_it_began_with_unless_others_are_asked_for(tmp_path, capsys):
    began, asked, left_open = (
        check.replace(CONFIG, {"model.convolutions": name}) for name in ("native", "xla", "auto")
    )
    description.write_description(tmp_path, began, ("a", "b"))
    assert description.continued(tmp_path, left_open) == began
    assert capsys.readouterr().out == ""
    assert description.continued(tmp_path, asked) == asked
    assert capsys.readouterr().out == (
        f"{tmp_path} continues with model.convolutions=xla and began with native: the last digits differ from those of "
        f"a run that goes on as it began\n"
    )
    assert description.check(tmp_path, asked)


def test_a_model_that_was_only_imported_is_trained_as_new_runs_are(tmp_path):
    (tmp_path / "config.json").write_text(stored_text(*LATER))
    (tmp_path / "dataset.json").write_text('{"class_names": ["a", "b"]}')
    (tmp_path / "imported.json").write_text("{}")
    assert description.continued(tmp_path, CONFIG) is CONFIG
    assert description.check(tmp_path, CONFIG)


def test_blocks_without_a_kind_are_convolutions_in_format_0_alone():
    blocks = stored.from_json(without_kind(stored_text())).model.blocks
    assert all(isinstance(block, Conv) for block in blocks)
    with pytest.raises(UserError, match="kind is 'absent'"):
        stored.from_json(without_kind(stored_text(format=7)))


def test_a_field_of_a_block_that_came_later_is_what_was_before():
    config = checked(food10_fast.get_config())
    text = json.loads(stored.to_json(config))
    for block in text["model"]["blocks"]:
        block.pop("squeeze", None)
    for number in (0, 7, 8):
        assert stored.complete(stored.parse(json.dumps(text | {"format": number}))) == config
    with pytest.raises(UserError, match=r"it lacks model.blocks\[1\].squeeze, model.blocks\[2\].squeeze"):
        stored.from_json(json.dumps(text))


@pytest.mark.parametrize(
    "text,words",
    [
        (
            stored_text("train.patience", "data.resize"),
            "it lacks data.resize, train.patience: needs the foodjax",
        ),
        # It came with augment.mixup, which is there: nobody ever stored one without the other.
        (stored_text("augment.mixup_alpha"), "it lacks augment.mixup_alpha: needs"),
        (stored_text("eval.calibrate", format=7), "it lacks eval.calibrate: needs"),
        (stored_text(later=3), "config has no key 'later'"),
        (stored_text(seed=-1), "seed is -1: needs an integer"),
        (stored_text(eval=3), "it lacks eval.size"),
        (stored_text(eval={"size": {}}), "it lacks eval.size"),
        (stored_text(format=999), "its format is 999: this foodjax reads formats up to"),
        (stored_text(format="new"), "its format is 'new': this foodjax reads"),
    ],
)
def test_what_another_foodjax_stored_is_told_from_damage(tmp_path, text, words):
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "dataset.json").write_text('{"class_names": ["a", "b"]}')
    with pytest.raises(UserError) as caught:
        description.read_description(tmp_path)
    assert words in str(caught.value)
    assert "made by another foodjax" in str(caught.value)
    assert "damaged" not in str(caught.value)
    (tmp_path / "config.json").write_text(text[:-1])
    with pytest.raises(UserError, match="is damaged: not a stored config"):
        description.read_description(tmp_path)
