import dataclasses

import pytest

from experiments import food10, food10_fast
from foodjax.config import check
from foodjax.config.blocks import Conv
from foodjax.config.check import checked
from foodjax.config.keys import Config, table
from foodjax.system.errors import UserError


@pytest.mark.parametrize(
    "key,value,message",
    [
        ("optimizer.learning_rate", -1.0, "optimizer.learning_rate is -1.0: needs a number > 0"),
        ("optimizer.learning_rate", float("nan"), "needs a number > 0"),
        ("data.resize", "cubic", "data.resize is 'cubic': needs one of nearest, bilinear"),
        ("data.batch_size", -1, r"needs an integer in \[0, 65536\]"),
        ("augment.brightness", (0.7, 0.1), "needs a pair"),
        ("train.epochs", 0, "train.epochs is 0"),
        ("model.head.dropout", 1.0, r"needs a number in \[0, 1\)"),
    ],
)
def test_a_value_out_of_range_is_refused(key, value, message):
    config = food10.get_config()
    config.update_from_flattened_dict({key: value})
    with pytest.raises(UserError, match=message):
        checked(config)


def test_the_last_epoch_belongs_to_a_schedule_that_ends():
    config, longer = food10.get_config(), food10.get_config()
    longer.train.epochs += 1
    assert check.difference(config, longer) is None
    config.optimizer.schedule = longer.optimizer.schedule = "cosine"
    assert check.difference(config, longer) == "train.epochs is 100 here and 101 there"


@pytest.mark.parametrize("stages", [((1, 32),), ((0, 32), (0, 48)), ((0, 32), (5, 0)), (0, 32), [(0, 32)]])
def test_stages_that_are_no_rising_epochs_are_refused(stages):
    assert not table()["train.progressive_resizing"].rule.accepts(stages)
    assert table()["train.progressive_resizing"].rule.accepts(((0, 32), (5, 48)))


def test_unknown_and_missing_keys_are_refused():
    config = food10.get_config()
    config.train.epoch = 3
    with pytest.raises(UserError, match="no key 'train.epoch'; did you mean 'train.epochs'"):
        checked(config)
    config = food10.get_config()
    del config.train.patience
    with pytest.raises(UserError, match="lacks 'train.patience'"):
        checked(config)
    config = food10.get_config()
    config.model.blocks[1].stride = 2
    with pytest.raises(UserError, match=r"model.blocks\[1\].stride"):
        checked(config)


def test_a_checked_config_has_types_and_cannot_be_changed():
    config = checked(food10.get_config())
    assert isinstance(config, Config)
    assert config.model.blocks[0] == Conv(32, kernel=3, padding=("SAME", "VALID"), pool=2, dropout=0.2)
    assert checked(config) is config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.data.batch_size = 1  # pyright: ignore


def test_a_config_survives_the_way_to_a_config_dict_and_back():
    config = checked(food10_fast.get_config())
    assert checked(check.to_config_dict(config)) == config
    assert check.replace(config, {"data.batch_size": 7}).data.batch_size == 7
    with pytest.raises(UserError, match=r"data.eval_batch_size is 0: needs an integer in \[1, 65536\]"):
        check.replace(config, {"data.eval_batch_size": 0})


def test_the_defaults_change_nothing_and_lack_only_blocks():
    config = checked(check.default_config())
    assert config == Config()
    assert config.model.blocks == ()
    assert config.data.num_classes == 0


@pytest.mark.parametrize(
    "block,message",
    [
        ({"kind": "cov", "features": 8}, r"model.blocks\[0\].kind is 'cov': needs one of conv, stem"),
        ({"features": 8}, r"model.blocks\[0\].kind is 'absent': needs one of conv, stem"),
        ({"kind": ["conv"]}, r"model.blocks\[0\].kind is \['conv'\]: needs one of"),
        (
            {"kind": "stem", "features": 8, "patch": 2},
            r"config lacks 'model.blocks\[0\].kernel': needs an integer in \[1, 8192\]",
        ),
        ({"kind": "stem", "features": 8, "patch": 2, "kernl": 3}, "did you mean 'kernel'"),
        (
            {"kind": "stem", "features": 0, "patch": 2, "kernel": 3},
            r"blocks\[0\].features is 0: needs an integer in \[1, 65536\]",
        ),
        (3, "model.blocks is .*needs a tuple of blocks"),
    ],
)
def test_a_block_that_cannot_be_used_is_refused(block, message):
    with pytest.raises(UserError, match=message):
        check.replace(checked(food10.get_config()), {"model.blocks": (block,)})


@pytest.mark.parametrize(
    "old,new,value",
    [
        ("train.sizes", "train.progressive_resizing", ((0, 32), (5, 48))),
        ("augment.random_ops", "augment.randaugment_ops", 2),
        ("augment.random_strength", "augment.randaugment_magnitude", 0.9),
    ],
)
def test_a_key_is_understood_by_its_old_name(old, new, value):
    assert check.current_name(old) == new
    assert check.current_name(new) == new
    config = food10.get_config()
    setattr(config[old.split(".")[0]], old.split(".")[1], value)
    assert dict(check.flatten(checked(config)))[new] == value
    assert dict(check.flatten(checked(food10.get_config(f"{old}={value}"))))[new] == value
    given = {
        "train.progressive_resizing": ((0, 8),),
        "augment.randaugment_ops": 1,
        "augment.randaugment_magnitude": 0.1,
    }
    config.update_from_flattened_dict({new: given[new]})
    with pytest.raises(UserError, match=f"config has '{new}' and, under its old name, '{old}': needs one of them"):
        checked(config)


def test_which_keys_are_no_part_of_an_experiment_and_which_an_evaluation_may_change():
    assert set(check.not_identity()) == {
        *("data.cache_dir", "data.tfds_dir", "data.backend", "data.eval_batch_size", "train.steps_per_dispatch"),
        *("data.dir", "data.source", "data.tfds_name", "data.labels", "data.class_level", "data.exclude"),
        *("train.epochs", "train.patience", "checkpoint.every_steps", "checkpoint.every_minutes"),
        *("log.writers", "log.every_steps", "log.norms", "train.profile", "train.deterministic"),
        *("eval.more", "eval.more_every", "model.convolutions"),
    }
    assert set(check.names_in("evaluation", "place")) == {
        *("data.dir", "data.source", "data.tfds_name", "data.tfds_dir", "data.on_error", "data.cache_dir", "data.fold"),
        *("data.labels", "data.class_level", "data.exclude", "data.eval_batch_size", "eval.calibrate"),
        *("eval.size", "eval.crop_area", "eval.flip", "eval.top5", "model.convolutions"),
    }


RATES = ("optimizer.rates", (("block1/*", 0.0),))


def test_what_the_first_state_is_made_of():
    config = checked(food10.get_config())
    same = {"data.batch_size": 8, "model.dtype": "bfloat16", "model.head.dropout": 0.5, "optimizer.learning_rate": 1.0}
    assert check.state_values(check.replace(config, same)) == check.state_values(config)
    for key, value in (
        ("seed", 1),
        ("model.norm", "batch"),
        ("train.ema_decay", 0.5),
        ("optimizer.name", "sgd"),
        RATES,
    ):
        assert check.state_values(check.replace(config, {key: value})) != check.state_values(config)
    blocks = config.model.blocks
    changed = (*blocks[:3], dataclasses.replace(blocks[3], dropout=0.0))
    assert check.state_values(check.replace(config, {"model.blocks": changed})) == check.state_values(config)
    changed = (*blocks[:3], dataclasses.replace(blocks[3], features=8))
    assert check.state_values(check.replace(config, {"model.blocks": changed})) != check.state_values(config)
