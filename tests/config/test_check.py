import re

import pytest
from helpers import ROOT

from experiments import food10
from foodjax.config import check as config_lib
from foodjax.config import keys
from foodjax.system.errors import UserError


@pytest.mark.parametrize(
    "key,value,message",
    [
        ("optimizer.learning_rate", -1.0, "optimizer.learning_rate is -1.0: needs a number > 0"),
        ("optimizer.learning_rate", float("nan"), "needs a number > 0"),
        ("data.resize", "cubic", "data.resize is 'cubic': needs one of nearest, bilinear"),
        ("data.batch_size", 0, "needs an integer >= 1"),
        ("augment.brightness", (0.7, 0.1), "needs a pair"),
        ("train.epochs", 0, "train.epochs is 0"),
        ("model.head.dropout", 1.0, r"needs a number in \[0, 1\)"),
    ],
)
def test_a_value_out_of_range_is_refused(key, value, message):
    config = food10.get_config()
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=message):
        config_lib.validate(config)


def test_the_last_epoch_belongs_to_a_schedule_that_ends():
    config, longer = food10.get_config(), food10.get_config()
    longer.train.epochs += 1
    assert config_lib.difference(config, longer) is None
    config.optimizer.schedule = longer.optimizer.schedule = "cosine"
    assert config_lib.difference(config, longer) == "train.epochs is 100 here and 101 there"


@pytest.mark.parametrize("sizes", [((1, 32),), ((0, 32), (0, 48)), ((0, 32), (5, 0)), (0, 32), [(0, 32)]])
def test_sizes_that_are_no_rising_epochs_are_refused(sizes):
    assert not keys.SCHEMA["train.sizes"].accepts(sizes)
    assert keys.SCHEMA["train.sizes"].accepts(((0, 32), (5, 48)))


def test_unknown_and_missing_keys_are_refused():
    config = food10.get_config()
    config.train.epoch = 3
    with pytest.raises(UserError, match="no key 'train.epoch'; did you mean 'train.epochs'"):
        config_lib.validate(config)
    config = food10.get_config()
    del config.train.patience
    with pytest.raises(UserError, match="lacks 'train.patience'"):
        config_lib.validate(config)
    config = food10.get_config()
    config.model.blocks[1].stride = 2
    with pytest.raises(UserError, match=r"model.blocks\[1\].stride"):
        config_lib.validate(config)


def test_every_key_is_read_by_the_code_and_told_in_the_docs():
    paths = [path for path in (ROOT / "foodjax").rglob("*.py") if path.parent.name != "config"]
    code = "\n".join(path.read_text() for path in [*paths, ROOT / "main.py"])
    page = (ROOT / "docs" / "config.md").read_text()
    for key in keys.SCHEMA:
        assert re.search(rf"\.{key.split('.')[-1]}\b", code), f"{key} is never read"
        assert f"`{key}`" in page, f"{key} is not in the table of docs/config.md"
