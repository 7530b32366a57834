"""A key written once: its default, validation, documentation, history and scope follow from its field."""

import dataclasses
import json
import re

import pytest
from helpers import ROOT

from experiments import food10
from foodjax.config import check, docs, keys, stored, variants
from foodjax.config.blocks import KINDS
from foodjax.config.key import REQUIRED, fields, key
from foodjax.config.rules import UNIT, number
from foodjax.system.errors import UserError


def test_docs_config_md_is_fresh():
    text = (ROOT / "docs" / "config.md").read_text()
    assert text == docs.to_markdown(), "python -m foodjax.config.docs > docs/config.md"


def test_every_key_and_field_of_a_block_is_read_by_the_code():
    paths = [path for path in (ROOT / "foodjax").rglob("*.py") if path.parent.name != "config"]
    code = "\n".join(path.read_text() for path in [*paths, ROOT / "foodjax" / "config" / "keys.py"])
    names = [name.split(".")[-1] for name in keys.table()] + [name for kind in KINDS.values() for name in fields(kind)]
    for name in names:
        assert re.search(rf"\.{name}\b", code), f"{name} is never read"


def test_every_default_and_what_was_before_keeps_its_rule():
    known = [*keys.table().items(), *((name, k) for kind in KINDS.values() for name, k in fields(kind).items())]
    for name, about in known:
        for value in (about.default, about.before):
            assert value is REQUIRED or about.rule.accepts(value), f"{name} {value!r}"


@pytest.fixture
def with_noise(monkeypatch):
    """A config class with one key more, `augment.noise`, of the next format, once called augment.grain."""
    new = key(
        0.1, number(0, 0.5), "of the range", "deviation of a noise", since=stored.current_format() + 1, before=0.0,
        was="augment.grain", part="noise",
    )  # fmt: skip
    augment = dataclasses.make_dataclass("Augment", [("noise", float, new)], bases=(keys.Augment,), frozen=True)
    group = ("augment", augment, dataclasses.field(default_factory=augment))
    config = dataclasses.make_dataclass("Config", [group], bases=(keys.Config,), frozen=True)
    before = {"format": stored.current_format(), "json": stored.to_json(check.checked(food10.get_config()))}
    monkeypatch.setattr(keys, "Config", config)
    return before


def test_a_new_key_is_its_field_alone(with_noise):
    assert check.default_config().augment.noise == 0.1
    config = check.checked(food10.get_config())
    assert config.augment.noise == 0.1
    with pytest.raises(UserError, match=r"augment.noise is 0.7: needs a number in \[0, 0.5\]"):
        check.replace(config, {"augment.noise": 0.7})
    with pytest.raises(UserError, match="no key 'augment.nois'; did you mean 'augment.noise'"):
        check.replace(config, {"augment.nois": 0.2})
    row = "| `augment.noise` | `0.1` | a number in [0, 0.5] | of the range | deviation of a noise (once"
    assert f"{row} `augment.grain`) |" in docs.to_markdown()
    assert check.difference(config, check.replace(config, {"augment.noise": 0.2})) == (
        "augment.noise is 0.1 here and 0.2 there"
    )
    variant = variants.apply(food10.get_config("augment.grain=0.3"), "drop_augment=rotation")
    assert variant.augment.noise == 0.3
    assert variants.apply(variant, "drop_augment=noise").augment.noise == 0.1


def test_a_run_stored_before_a_new_key_did_what_was_before(with_noise):
    assert stored.current_format() == with_noise["format"] + 1
    config = stored.from_json(with_noise["json"])
    assert config.augment.noise == 0.0
    again = json.loads(stored.to_json(config))
    assert again["format"] == stored.current_format()
    assert again["augment"]["noise"] == 0.0
    again["augment"]["grain"] = again["augment"].pop("noise")
    assert stored.from_json(json.dumps(again)).augment.noise == 0.0
    del again["augment"]["grain"]  # of this format it must be there
    with pytest.raises(UserError, match="it lacks augment.noise"):
        stored.from_json(json.dumps(again))


def test_a_default_that_breaks_its_rule_is_no_key():
    with pytest.raises(AssertionError, match=r"default 2.0: a share needs a number in \[0, 1\]"):
        key(2.0, UNIT, "", "a share")
