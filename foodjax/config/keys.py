"""The keys of a config, each written once: `key(default, rule, unit, meaning, ...)` in the dataclass of its group.

The groups data and augment are in `photo_keys`.

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
    FRACTION,
    MAX_DEPTH,
    MAX_FEATURES,
    MAX_SIDE,
    NAME,
    POSITIVE,
    RATES,
    SEED,
    STAGES,
    TEXT,
    UNIT,
    WRITER_NAMES,
    choice,
    integer,
    number,
    tuple_of,
)


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
class Optimizer:
    """The optimizer and its learning rate."""

    name: str = key(
        "adamw", choice("rmsprop", "adamw", "sgd", "muon"), "", "rmsprop has Keras' arithmetic; sgd is Nesterov's",
        shapes_state=True,
    )  # fmt: skip
    learning_rate: float = key(1e-3, POSITIVE, "", "the highest of the schedule")
    rates: tuple[tuple[str, float], ...] = key(
        (), RATES, "of learning_rate",
        "of parameters, by patterns over their paths such as `block1/*`: the first that matches counts, 0 freezes, "
        "* matches / too; where none matches, 1", since=11, shapes_state=True,
    )  # fmt: skip
    layer_decay: float = key(
        1.0, number(0, 1, open_low=True), "",
        "of the rate, from each block to the one before it; the head has the full rate", since=11, shapes_state=True,
    )  # fmt: skip
    unfreeze: int = key(
        0, integer(0), "epochs",
        "from the start of the head to that of the last block, and so on down; 0: all start at once", since=11,
        shapes_state=True,
    )  # fmt: skip
    schedule: str = key(
        "constant", choice("constant", "cosine", "one_cycle"), "", "of the rate, over all `train.epochs`", since=3
    )
    warmup: float = key(0.0, FRACTION, "of the steps", "in which the rate rises", since=3)
    final_rate: float = key(0.0, UNIT, "of learning_rate", "where cosine and one_cycle end", since=3)
    momentum: float = key(0.9, FRACTION, "", "of rmsprop, sgd and muon; adamw: beta 1", since=3, before=0.0)
    decay: float = key(0.999, FRACTION, "", "of the mean square; Keras: rho; adamw: beta 2")
    epsilon: float = key(1e-8, POSITIVE, "", "rmsprop: added under the root, as Keras does; adamw: to the root")
    weight_decay: float = key(0.0, number(0), "", "of kernels alone, times the learning rate", since=3)
    clip_norm: float = key(0.0, number(0), "", "longest gradient of all weights together; 0: any", since=3)


@dataclass(frozen=True)
class Train:
    """How long and on what loss."""

    epochs: int = key(100, integer(1), "epochs", "at most", scope="execution")
    steps_per_dispatch: int = key(
        8, integer(1, 10**4), "steps", "in one call of the accelerator, with `data.backend=device`; 1 on a CPU",
        since=5, scope="execution",
    )  # fmt: skip
    patience: int = key(10, integer(0), "epochs", "without a lower validation loss before training stops",
                        scope="execution")  # fmt: skip
    freeze_batch_stats: bool = key(
        False, BOOL, "", "batch normalisation trains with its running statistics and does not update them", since=11
    )
    solver: str = key(
        "steps", choice("steps", "probe"), "",
        "steps of the optimizer, or a linear classifier on features: foodjax probe", since=11,
    )  # fmt: skip
    label_smoothing: float = key(0.0, FRACTION, "of the probability", "spread over all classes", since=3)
    class_weights: tuple[float, ...] = key(
        (), tuple_of(POSITIVE, "numbers > 0, one for each class"), "",
        "of the loss, one for each class in label order; () weighs all the same", since=3,
    )  # fmt: skip
    balance: str = key(
        "none", choice("none", "classes"), "", "classes: weigh the loss so that each class counts the same", since=10
    )
    ema_decay: float = key(
        0.0, FRACTION, "", "of averaged weights, which are then evaluated; 0 does not average", since=3,
        shapes_state=True,
    )  # fmt: skip
    progressive_resizing: tuple[tuple[int, int], ...] = key(
        (), STAGES, "(epoch, pixels)", "side of the pictures from each epoch on; (): `model.input_size` always",
        since=3, was="train.sizes",
    )  # fmt: skip

    @property
    def num_epochs(self) -> int:
        """Epochs of a whole run, at most; the solution of a probe is one."""
        return 1 if self.solver == "probe" else self.epochs


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
    calibrate: bool = key(
        False, BOOL, "", "scale the probabilities by a temperature, fitted on the validation images", since=6,
        scope="evaluation",
    )  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """When a checkpoint is written, besides after every epoch."""

    every_steps: int = key(0, integer(0), "steps", "between checkpoints within an epoch; 0: none", since=2,
                           scope="execution")  # fmt: skip
    every_minutes: float = key(10.0, number(0), "minutes", "between checkpoints within an epoch; 0: none", since=2,
                               scope="execution")  # fmt: skip


@dataclass(frozen=True)
class Log:
    """Where the numbers of a run are shown, besides its workdir's metrics.jsonl."""

    writers: tuple[str, ...] = key(("tensorboard",), WRITER_NAMES, "", "of the numbers and pictures: docs/logging.md",
                                   since=12, scope="execution")  # fmt: skip


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
