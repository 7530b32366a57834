"""Every type of key has a spelling that shells leave alone."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foodjax import load_config
from foodjax.config import values
from foodjax.config.keys import table
from foodjax.config.override import assign, canonical
from foodjax.system.errors import UserError

RATES = tuple[tuple[str, float], ...]
SHELLS = ["sh", "bash", "zsh"]

# A value that is not the default, for each type and rule.
OTHER = {
    "data.source": "drawn", "data.dir": "my photographs/it's here", "data.class_names": ("a, b", "ice cream", "(c)"),
    "data.resize": "lanczos", "data.protocol": "tutorial", "data.on_error": "skip", "data.backend": "device",
    "data.tfds_name": "food101:2.1.0", "data.tfds_dir": "~/tfds", "data.cache_dir": "$HOME/*", "name": "a name!",
    "augment.brightness": (0.25, 0.5), "augment.crop_area": (0.25, 1.0), "augment.crop_aspect": 1.5,
    "augment.blur": 0.05, "model.head.pooling": "flatten", "model.head.hidden": (64, 32), "model.init_from": "runs/x",
    "model.dtype": "bfloat16", "model.activation": "silu", "model.norm": "group", "optimizer.name": "sgd",
    "optimizer.schedule": "cosine", "train.class_weights": (1.0, 2.5), "eval.crop_area": 0.5,
    "train.progressive_resizing": ((0, 48), (20, 64)), "data.geometry": "crop", "data.decoding": "plain",
    "data.labels": "labels.csv", "data.exclude": "labels/labels.csv", "data.fold": "2/5", "data.group": "patient",
    "model.backbone": "resnet50", "model.input_mean": (0.5, 0.25, 0.0), "model.input_deviation": (0.5, 0.25, 1.0),
    "train.solver": "probe", "train.monitor": "val_accuracy", "train.loss": "focal", "train.profile": (5, 10),
    "model.convolutions": "native", "eval.more": (("v2", "/data/v2"), ("sketch", "sketches")),
    "train.balance": "classes", "data.duplicates": "drop",
    "log.writers": ("wandb", "tensorboard"),
    "optimizer.rates": (("block1/conv1/kernel", 0.1), ("logits/bias", 10.0)),
}  # fmt: skip


def other(name):
    """Returns a valid value of a key that is not its default."""
    key = table()[name]
    if name in OTHER:
        return OTHER[name]
    candidates = [not key.default, 3, 0.25, 0.5]
    return next(v for v in candidates if type(v) is key.type and key.rule.accepts(v) and v != key.default)


PROGRAM = """
import json, sys
from foodjax import cli
from foodjax.commands import arguments, configs
from foodjax.config.check import leaves
for line in sys.stdin.read().split("\\0\\n"):
    words = line.split("\\0")
    if words == [""]:
        continue
    config = configs.load(arguments.read(words, cli.VERBS)).config
    print(json.dumps({k: v for k, v in leaves(config) if k != "model.blocks"}))
"""


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("quoted", [True, False])
def test_every_key_is_set_to_another_value_through_a_shell(shell, quoted):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    names = list(table())
    if not quoted:  # all but those whose test value is made to need quotes
        free = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:/_-+=")
        names = [name for name in names if set(values.spell(other(name))) <= free]
        assert len(names) >= len(table()) - 5
    words = [f"--config.{name}={values.spell(other(name))}" for name in names]
    script = "".join(
        f"printf '%s\\0' train --config food10; printf '%s' {shlex.quote(word) if quoted else word}; printf '\\0\\n'\n"
        for word in words
    )
    typed = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True)
    assert not typed.stderr
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=typed.stdout, capture_output=True, text=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(names), done.stderr
    for name, config in zip(names, found, strict=True):
        assert config[name] == json.loads(json.dumps(other(name))), name


@pytest.mark.parametrize(
    "text,kind,value",
    [
        ("TRUE", bool, True), ("false", bool, False), ("3e-4", float, 3e-4), ("1", float, 1.0), ("64", int, 64),
        ("a,b", str, "a,b"), ("'a'", str, "a"), ("it's", str, "it's"),
        ("0.5,1.0", tuple[float, float], (0.5, 1.0)), ("(0.5, 1)", tuple[float, float], (0.5, 1.0)),
        ("[0.5, 1]", tuple[float, float], (0.5, 1.0)),
        ("star", tuple[str, ...], ("star",)), ("star,ring", tuple[str, ...], ("star", "ring")),
        ("('star', 'ring')", tuple[str, ...], ("star", "ring")), ("('a, b',)", tuple[str, ...], ("a, b",)),
        ("(star,ring)", tuple[str, ...], ("star", "ring")), ("1", tuple[str, ...], ("1",)),
        ("ice cream, it's", tuple[str, ...], ("ice cream", "it's")),
        ("", tuple[str, ...], ()), ("()", tuple[int, ...], ()), ("128", tuple[int, ...], (128,)),
        ("(128,)", tuple[int, ...], (128,)), ("64,32", tuple[int, ...], (64, 32)),
        ("0:48,20:64", tuple[tuple[int, int], ...], ((0, 48), (20, 64))),
        ("((0, 48), (20, 64))", tuple[tuple[int, int], ...], ((0, 48), (20, 64))),
        ("(0,48),(20,64)", tuple[tuple[int, int], ...], ((0, 48), (20, 64))),
        ("block1*:0.1,logits*:10", RATES, (("block1*", 0.1), ("logits*", 10.0))),
        ("(block1/*:0,'a:b,c':1)", RATES, (("block1/*", 0.0), ("a:b,c", 1.0))),
        ("(('block1/*', 0.1), ('[ab]*', 1))", RATES, (("block1/*", 0.1), ("[ab]*", 1.0))),
        ("((0, 48),)", tuple[tuple[int, int], ...], ((0, 48),)), ("0:48", tuple[tuple[int, int], ...], ((0, 48),)),
    ],
)  # fmt: skip
def test_a_value_is_read_as_the_type_of_its_key(text, kind, value):
    found = values.parse(text, kind)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text,kind",
    [
        ("yes", bool), ("many", int), ("1.5", int), ("", int), ("fast", float), ("1,2,3", tuple[float, float]),
        ("1,,2", tuple[int, ...]), ("0:48:1", tuple[tuple[int, int], ...]), ("block1/*", RATES),
        ("block1/*:fast", RATES), ("{[]:1}", float),
        ("-" * 99_999 + "1", float), ("(" * 9_999, tuple[int, ...]),
    ],
)  # fmt: skip
def test_another_text_is_refused(text, kind):
    with pytest.raises(ValueError):
        values.parse(text, kind)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4).map(tuple))
def test_any_names_are_spelled_and_read_back(names):
    assert values.parse(values.spell(names), tuple[str, ...]) == names


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.floats(0, allow_infinity=False)),
        max_size=3,
    ).map(tuple)
)
def test_any_patterns_with_their_rates_are_spelled_and_read_back(rates):
    assert values.parse(values.spell(rates), RATES) == rates


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_spelled_and_read_back(text):
    assert values.parse(values.spell(text), str) == text


@pytest.mark.parametrize(
    "name,given,message",
    [
        ("train.epoch", "1", "config has no key 'train.epoch'; did you mean 'train.epochs'"),
        ("train", "1", "config has no key 'train'"),
        ("train.epochs", "many", "train.epochs is 'many': needs an integer >= 1"),
        ("train.epochs", True, "train.epochs is True: needs an integer >= 1"),
        ("optimizer.learning_rate", "-1", "optimizer.learning_rate is -1.0: needs a number > 0"),
        ("eval.flip", "maybe", "eval.flip is 'maybe': needs true or false"),
        ("model.blocks[4].kernel", "3", r"no key 'model.blocks\[4\].kernel'; did you mean 'model.blocks\[3\].kernel'"),
        ("model.blocks.3.kernl", "3", r"no key 'model.blocks\[3\].kernl'; did you mean 'model.blocks\[3\].kernel'"),
        ("model.blocks", "4", "model.blocks is '4': needs a tuple of blocks"),
        (
            "optimizer.name",
            "adam",
            "optimizer.name is 'adam': needs one of rmsprop, adamw, sgd, muon, lion, lamb, nadam",
        ),
        ("train.loss", "bce", "train.loss is 'bce': needs one of cross_entropy, binary_cross_entropy, focal"),
        (
            "train.monitor",
            "loss",
            "train.monitor is 'loss': needs one of val_loss, val_accuracy, val_top5, val_mean_rec",
        ),
        ("train.profile", "5", r"train.profile is \(5,\): needs \(\) or two integers \(from, to\) with 0 <= from < to"),
        ("train.profile", "5,5", r"train.profile is \(5, 5\): needs .* at most 1000 apart"),
        ("train.profile", "0,2000", r"train.profile is \(0, 2000\): needs .* at most 1000 apart"),
        ("eval.more", "val:x", r"eval.more is .*: needs pairs \(name, path\) with different names of letters, digits"),
        ("eval.more", "a:x,A:y", r"eval.more is .*: needs pairs \(name, path\) with different names"),
        ("eval.more", "a_b:x", r"eval.more is .*: needs pairs \(name, path\) with different names"),
        ("eval.more", "/data/v2", r"eval.more is '/data/v2': needs pairs \(name, path\) with different names"),
        ("log.every_steps", "-1", "log.every_steps is -1: needs an integer >= 0"),
    ],
)
def test_an_assignment_that_cannot_be(name, given, message):
    with pytest.raises(UserError, match=message):
        assign(load_config("food10"), name, given)


def test_blocks_are_assigned_whole_and_in_part():
    config = load_config("food10")
    assign(config, "model.blocks.3.kernel", "3")
    assign(config, "model.blocks[0].padding", "SAME,SAME")
    assert config.model.blocks[3].kernel == 3
    assert config.model.blocks[0].padding == ("SAME", "SAME")
    assign(config, "model.blocks", "[{'kind': 'stem', 'features': 8, 'patch': 2, 'kernel': 3}]")
    assert [block.kind for block in config.model.blocks] == ["stem"]
    assert canonical("model.blocks.3.kernel") == "model.blocks[3].kernel"
    assert canonical("train.sizes") == "train.progressive_resizing"


def test_a_list_and_an_integer_do_where_a_tuple_and_a_float_are_needed():
    config = load_config("food10")
    assign(config, "data.class_names", ["ring", "star"])
    assign(config, "optimizer.learning_rate", 1)
    assert config.data.class_names == ("ring", "star")
    assert type(config.optimizer.learning_rate) is float
