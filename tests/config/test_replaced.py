"""Keys that another has replaced: lower_blocks and lower_rate, which are optimizer.rates now."""

import json

import pytest
from helpers import stored_in_format_10

from experiments import food10, food10_resnet18
from foodjax import load_config
from foodjax.config import check, keys, replaced, stored
from foodjax.config.check import checked
from foodjax.config.override import assign, canonical
from foodjax.system.errors import UserError

QUARTER = (("block1/*", 0.25), ("block2/*", 0.25))


@pytest.mark.parametrize(
    "lower_blocks,lower_rate,rates",
    [
        (0, 0.0, ()),
        (0, 0.25, ()),
        (1, 0.0, (("block1/*", 0.0),)),
        (2, 0.25, QUARTER),
        (2, 1, (("block1/*", 1.0), ("block2/*", 1.0))),
        (99, 0.5, tuple((f"block{i}/*", 0.5) for i in (1, 2, 3, 4))),  # of four blocks
    ],
)
def test_a_stored_run_an_experiment_and_an_override_are_understood(lower_blocks, lower_rate, rates):
    expected = check.replace(checked(food10.get_config()), {"optimizer.rates": rates})
    text = stored_in_format_10(food10.get_config(), lower_blocks=lower_blocks, lower_rate=lower_rate)
    assert stored.from_json(text) == check.replace(expected, {"model.convolutions": "xla"})
    config = food10.get_config()
    config.optimizer.update(lower_blocks=lower_blocks, lower_rate=lower_rate)
    assert checked(config) == expected
    config = food10.get_config()
    assign(config, "optimizer.lower_rate", str(lower_rate))
    assign(config, "optimizer.lower_blocks", lower_blocks)
    assert checked(config) == expected
    variant = load_config("food10", f"optimizer.lower_blocks={lower_blocks}", optimizer__lower_rate=lower_rate)
    assert checked(variant).optimizer == expected.optimizer


def test_what_is_stored_now_has_the_new_key_alone():
    text = stored.to_json(stored.from_json(stored_in_format_10(food10.get_config(), lower_blocks=2, lower_rate=0.25)))
    assert json.loads(text)["optimizer"]["rates"] == [list(pair) for pair in QUARTER]
    assert "lower" not in text
    assert stored.from_json(text).optimizer.rates == QUARTER


def test_the_resnet_has_the_rates_that_it_had():
    config = food10_resnet18.get_config()
    now = checked(config).optimizer
    config.optimizer.rates = ()
    config.optimizer.update(lower_blocks=3, lower_rate=0.2)
    assert checked(config).optimizer == now


def test_values_out_of_the_old_range_are_refused():
    for name, value, words in (
        ("lower_blocks", -1, "optimizer.lower_blocks is -1: needs an integer >= 0"),
        ("lower_blocks", 1.5, "optimizer.lower_blocks is 1.5: needs an integer >= 0"),
        ("lower_rate", 1.5, r"optimizer.lower_rate is 1.5: needs a number in \[0, 1\]"),
        ("lower_rate", "slow", r"optimizer.lower_rate is 'slow': needs a number in \[0, 1\]"),
    ):
        with pytest.raises(UserError, match=words):
            stored.from_json(stored_in_format_10(food10.get_config(), **{name: value}))
        with pytest.raises(UserError, match=words):
            config = food10.get_config()
            assign(config, f"optimizer.{name}", value)


@pytest.mark.parametrize("old", [{"lower_blocks": 1}, {"lower_rate": 0.5}, {"lower_blocks": 0, "lower_rate": 0.25}])
def test_both_forms_at_once_are_refused_unless_they_agree(old):
    config = food10.get_config()
    config.optimizer.rates = QUARTER
    config.optimizer.update(old)
    words = (
        f"config has optimizer.rates='block1/[*]:0.25,block2/[*]:0.25' and optimizer.{next(iter(old))}.* it replaces"
    )
    with pytest.raises(UserError, match=words):
        checked(config)
    config.optimizer.update(lower_blocks=2, lower_rate=0.25)
    assert checked(config).optimizer.rates == QUARTER


def test_every_replaced_key_has_an_heir_and_is_no_key_any_more():
    assert replaced.KEYS.keys() == replaced.BY.keys()
    for old, new in replaced.BY.items():
        assert old not in keys.table()
        assert new in keys.table()
        assert canonical(old) == new
        assert replaced.KEYS[old].since < keys.table()[new].since


def test_blocks_that_are_none_are_refused_as_before():
    tree = check.tree(food10.get_config())
    tree["optimizer"]["lower_blocks"], tree["model"]["blocks"] = 1, 3
    with pytest.raises(UserError, match="model.blocks is 3: needs a tuple of blocks"):
        checked(tree)
