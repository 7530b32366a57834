"""The keys of a config, each written once: `key(default, rule, unit, meaning, ...)` in the dataclass of its group.

The groups data and augment are in `photo_keys`, those of training in `training_keys`.

Defaults are neutral: nothing is augmented, smoothed, averaged or scheduled. Experiments set what they need.
"""

import functools
from dataclasses import dataclass, field

from foodjax.config.backbones import BACKBONES
from foodjax.config.blocks import Block
from foodjax.config.key import Key, key, walk
from foodjax.config.photo_keys import Augment, Data
from foodjax.config.rules import (
    BOOL,
    CHANNELS,
    DEVIATIONS,
    EVAL_SETS,
    FRACTION,
    MAX_DEPTH,
    MAX_FEATURES,
    MAX_SIDE,
    NAME,
    SEED,
    TEXT,
    choice,
    integer,
    number,
    tuple_of,
)
from foodjax.config.training_keys import Checkpoint, Log, Optimizer, Train


@dataclass(frozen=True)
class Head:
    """From the last block to the logits."""

    pooling: str = key(
        "average", choice("flatten", "average", "max", "token"), "",
        "of the last block's output; token: the class token of a backbone", shapes_state=True,
    )  # fmt: skip
    hidden: tuple[int, ...] = key(
        (),
        tuple_of(integer(1, MAX_FEATURES), f"at most {MAX_DEPTH} integers in [1, {MAX_FEATURES}]", MAX_DEPTH),
        "features",
        "sizes of the hidden dense layers",
        shapes_state=True,
    )
    dropout: float = key(0.0, FRACTION, "of the features", "after each hidden layer")


@dataclass(frozen=True)
class Model:
    """The network."""

    init_from: str = key(
        "", TEXT, "", "start from the weights of this workdir, file, or hf:// address: docs/weights.md", since=4,
        shapes_state=True,
    )  # fmt: skip
    dtype: str = key(
        "float32", choice("float32", "bfloat16"), "",
        "of the computation; weights, loss and sums are always float32", since=5,
    )  # fmt: skip
    convolutions: str = key(
        "auto", choice("auto", "native", "xla"), "",
        "on a CPU: foodjax's own kernels, or XLA's; auto: its own where they can be used: docs/speed.md",
        since=14, before="xla", scope="place",
    )  # fmt: skip
    input_size: int = key(
        0, integer(0, MAX_SIDE), "pixels", "side of what the network trains on; 0: `data.image_size`", since=3,
        shapes_state=True,
    )  # fmt: skip
    backbone: str = key(
        "", choice("", *BACKBONES), "", "network before `model.blocks`, of which weights exist; empty: none", since=11,
        shapes_state=True,
    )  # fmt: skip
    input_mean: tuple[float, ...] = key(
        (), CHANNELS, "of 1", "of red, green and blue, subtracted from the pictures; (): the backbone's, or none",
        since=11, shapes_state=True,
    )  # fmt: skip
    input_deviation: tuple[float, ...] = key(
        (), DEVIATIONS, "of 1", "by which the difference is divided; (): the backbone's, or none", since=11,
        shapes_state=True,
    )  # fmt: skip
    activation: str = key("relu", choice("relu", "gelu", "silu"), "", "of all layers", since=3, shapes_state=True)
    norm: str = key(
        "none", choice("none", "batch", "group"), "", "normalisation of all layers", since=3, shapes_state=True
    )
    norm_momentum: float = key(
        0.9, FRACTION, "", "batch: how much of its running statistics a step keeps", since=3, shapes_state=True
    )
    norm_groups: int = key(8, integer(1, MAX_FEATURES), "groups", "group: of the channels", since=3, shapes_state=True)
    drop_path: float = key(
        0.0, FRACTION, "of the pictures",
        "that skip the last residual branch in training; earlier branches in proportion", since=11,
    )  # fmt: skip
    blocks: tuple[Block, ...] = ()
    head: Head = field(default_factory=Head)


@dataclass(frozen=True)
class Eval:
    """What the network sees of a picture in evaluation and prediction."""

    size: int = key(
        0, integer(0, MAX_SIDE), "pixels", "side of the picture; 0: `model.input_size`", since=3, scope="evaluation"
    )
    crop_area: float = key(
        1.0, number(0, 1, open_low=True), "of the area", "share shown, in the middle", since=3, scope="evaluation"
    )
    flip: bool = key(
        False, BOOL, "", "average the probabilities of the picture and its mirror image", since=3, scope="evaluation"
    )
    top5: bool = key(
        False, BOOL, "", "also the share of pictures whose class is among the five most probable", since=13,
        scope="evaluation",
    )  # fmt: skip
    more: tuple[tuple[str, str], ...] = key(
        (), EVAL_SETS, "", "further photographs to evaluate in training, which choose nothing: name and path",
        since=13, scope="execution",
    )  # fmt: skip
    more_every: int = key(
        1, integer(1), "epochs", "between the evaluations of `eval.more`", since=13, scope="execution"
    )
    calibrate: bool = key(
        False, BOOL, "", "scale the probabilities by a temperature, fitted on the validation images", since=6,
        scope="evaluation",
    )  # fmt: skip


@dataclass(frozen=True)
class Config:
    """An experiment."""

    name: str = key("experiment", NAME, "", "the run's default folder")
    seed: int = key(0, SEED, "", "of weights, order, augmentation and dropout", shapes_state=True)
    data: Data = field(default_factory=Data)
    augment: Augment = field(default_factory=Augment)
    model: Model = field(default_factory=Model)
    optimizer: Optimizer = field(default_factory=Optimizer)
    train: Train = field(default_factory=Train)
    eval: Eval = field(default_factory=Eval)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    log: Log = field(default_factory=Log)

    @property
    def input_size(self) -> int:
        """Side of the pictures that the network trains on, pixels."""
        return self.model.input_size or self.data.image_size

    @property
    def standard(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of the channels, 0..1, with which pictures are standardised; () and () leave them."""
        model = self.model
        own = BACKBONES[model.backbone] if model.backbone else None
        mean, deviation = (own.mean, own.deviation) if own else ((), ())
        return model.input_mean or mean, model.input_deviation or deviation

    @property
    def eval_size(self) -> int:
        """Side of the pictures that it is evaluated on, pixels."""
        return self.eval.size or self.input_size


def table() -> dict[str, Key]:
    """Returns every key of a config by its dotted name; the fields of blocks are in `blocks.KINDS`."""
    return _table(Config)


@functools.cache
def _table(cls: type) -> dict[str, Key]:
    return dict(walk(cls))
