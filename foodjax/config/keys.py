"""The keys of a config, each written once: `key(default, rule, unit, meaning, ...)` in the dataclass of its group.

Defaults are neutral: nothing is augmented, smoothed, averaged or scheduled. Experiments set what they need.
"""

import functools
from dataclasses import dataclass, field

from foodjax.config.blocks import Block
from foodjax.config.key import Key, key, walk
from foodjax.config.rules import (
    AREA,
    BOOL,
    FRACTION,
    NAME,
    POSITIVE,
    RANGE,
    SEED,
    STAGES,
    TEXT,
    UNIT,
    choice,
    integer,
    number,
    tuple_of,
)


@dataclass(frozen=True)
class Data:
    """Photographs: where they are, which are used, and how they are prepared."""

    backend: str = key(
        "tf", choice("tf", "threads", "device"), "",
        "tf: tf.data makes the batches; threads: the same ones; device: in device memory", since=5, scope="execution",
    )  # fmt: skip
    source: str = key(
        "tfds", choice("tfds", "drawn"), "", "used when `data.dir` is empty; drawn: shapes that the program draws",
        scope="place",
    )  # fmt: skip
    dir: str = key(
        "", TEXT, "", "folder of photographs sorted by class, an archive of one (.zip, .tar.*), or food-101.tar.gz",
        scope="place",
    )  # fmt: skip
    labels: str = key(
        "", TEXT, "", "table (CSV) with the columns file, label and perhaps split; empty: folders are the classes",
        since=10, scope="place",
    )  # fmt: skip
    class_level: int = key(
        0, integer(0), "folders", "which folder below train/ or `data.dir` is the class: 1 the first; 0 finds out",
        since=10, scope="place",
    )  # fmt: skip
    tfds_name: str = key("", TEXT, "", "TFDS builder with image and label", scope="place")
    tfds_dir: str = key("", TEXT, "", "where TFDS keeps its data; empty: its own default", since=1, scope="place")
    num_classes: int = key(0, integer(0), "classes", "the first N in alphabetical order; 0 takes all")
    class_names: tuple[str, ...] = key((), tuple_of(TEXT, "class names"), "", "exactly these classes; () takes all")
    image_size: int = key(
        128, integer(0), "pixels",
        "side of the prepared pictures, which are square, see `data.geometry`; 0: chosen",
        shapes_state=True,
    )  # fmt: skip
    geometry: str = key(
        "stretch", choice("stretch", "crop", "pad"), "",
        "stretch: both sides to `image_size`; crop: the short one, middle; pad: the long one, on grey", since=10,
    )  # fmt: skip
    decoding: str = key(
        "viewer", choice("viewer", "plain"), "",
        "viewer: as a viewer shows the file; plain: EXIF turns and alpha ignored, 16 bits clipped", since=10,
        before="plain",
    )  # fmt: skip
    resize: str = key(
        "bilinear", choice("nearest", "bilinear", "bicubic", "lanczos", "box"), "", "filter of the resizing"
    )
    protocol: str = key(
        "holdout", choice("holdout", "tutorial"), "",
        "holdout: validation is the data's own, or held out of train; tutorial: taken from test and augmented",
    )  # fmt: skip
    validation_fraction: float = key(
        0.15, FRACTION, "of each class", "share held out; the first names in string order, as Keras does; 0: chosen",
    )  # fmt: skip
    test_fraction: float = key(
        0.2, number(0, 1, open_low=True, open_high=True), "of each class",
        "share held out of train to test on, where the data has no test part; by a hash of the names", since=10,
    )  # fmt: skip
    train_per_class: int = key(0, integer(0), "images", "at most so many of each class to train on; 0: all", since=4)
    batch_size: int = key(32, integer(0), "images", "in a training step; 0: chosen")
    eval_batch_size: int = key(
        50, integer(1), "images", "in an evaluation step; changes memory and speed, no result", scope="place"
    )
    on_error: str = key("stop", choice("stop", "skip"), "", "at pictures that do not decode", scope="evaluation")
    duplicates: str = key(
        "tell", choice("tell", "drop"), "", "drop: train without the pictures that validation or test holds too",
        since=10,
    )  # fmt: skip
    cache_dir: str = key("", TEXT, "", "prepared pictures; empty: the user's cache folder", scope="place")
    drawn_train: int = key(150, integer(1), "images", "of each class to train on, with `data.source=drawn`")
    drawn_test: int = key(30, integer(1), "images", "of each class to test on, with `data.source=drawn`")


@dataclass(frozen=True)
class Augment:
    """What happens to a training picture; the defaults change nothing."""

    rotation: float = key(0.0, number(0, 180), "degrees", "uniform in ±rotation", part="rotation")
    shift_rows: float = key(
        0.0, UNIT, "of the height", "uniform in ±shift_rows; Keras calls it width_shift_range", part="shift"
    )
    shift_columns: float = key(
        0.0, UNIT, "of the width", "uniform in ±shift_columns; Keras calls it height_shift_range", part="shift"
    )
    brightness: tuple[float, float] = key((1.0, 1.0), RANGE, "factor", "uniform", part="brightness")
    flip_horizontal: bool = key(False, BOOL, "", "with probability 1/2", part="flip_horizontal")
    flip_vertical: bool = key(False, BOOL, "", "with probability 1/2", part="flip_vertical")
    crop_area: tuple[float, float] = key(
        (1.0, 1.0), AREA, "of the area", "share that a crop shows, uniform; it lies anywhere", since=3, part="crop"
    )
    crop_aspect: float = key(
        1.0, number(1), "", "width to height of the crop, log-uniform in [1 / value, value]", since=3, part="crop"
    )
    contrast: float = key(0.0, UNIT, "", "factor about mid-grey, uniform in 1 ± contrast", since=3, part="colour")
    saturation: float = key(
        0.0, UNIT, "", "factor about the grey picture, uniform in 1 ± saturation", since=3, part="colour"
    )
    hue: float = key(0.0, number(0, 180), "degrees", "uniform in ±hue", since=3, part="colour")
    randaugment_ops: int = key(
        0, integer(0), "operations", "RandAugment's N: drawn for each picture, on top of the others", since=3,
        was="augment.random_ops", part="randaugment",
    )  # fmt: skip
    randaugment_magnitude: float = key(
        0.5, UNIT, "", "RandAugment's M: strength of the operations", since=3, was="augment.random_strength"
    )
    blur: float = key(
        0.0, number(0, 0.1), "of the side", "largest standard deviation of a Gaussian blur, uniform in [0, blur]",
        since=8, part="blur",
    )  # fmt: skip
    cutout: float = key(0.0, UNIT, "of the side", "side of a grey square", since=3, part="cutout")
    mixup: float = key(0.0, UNIT, "of the pictures", "share mixed with another one", since=3, part="mix")
    mixup_alpha: float = key(0.2, POSITIVE, "", "of the mixture's Beta distribution", since=3)
    cutmix: float = key(0.0, UNIT, "of the pictures", "share that gets a box of another one", since=3, part="mix")
    cutmix_alpha: float = key(1.0, POSITIVE, "", "of the Beta distribution of the box's area", since=3)


@dataclass(frozen=True)
class Head:
    """From the last block to the logits."""

    pooling: str = key(
        "average", choice("flatten", "average", "max"), "", "of the last block's output", shapes_state=True
    )
    hidden: tuple[int, ...] = key(
        (), tuple_of(integer(1), "integers >= 1"), "features", "sizes of the hidden dense layers", shapes_state=True
    )
    dropout: float = key(0.0, FRACTION, "of the features", "after each hidden layer")


@dataclass(frozen=True)
class Model:
    """The network."""

    init_from: str = key(
        "", TEXT, "", "start from the weights of this workdir, or of a ResNet's .safetensors", since=4,
        shapes_state=True,
    )  # fmt: skip
    dtype: str = key(
        "float32", choice("float32", "bfloat16"), "",
        "of the computation; weights, loss and sums are always float32", since=5,
    )  # fmt: skip
    input_size: int = key(
        0, integer(0), "pixels", "side of what the network trains on; 0: `data.image_size`", since=3,
        shapes_state=True,
    )  # fmt: skip
    activation: str = key("relu", choice("relu", "gelu", "silu"), "", "of all layers", since=3, shapes_state=True)
    norm: str = key(
        "none", choice("none", "batch", "group"), "", "normalisation of all layers", since=3, shapes_state=True
    )
    norm_momentum: float = key(
        0.9, FRACTION, "", "batch: how much of its running statistics a step keeps", since=3, shapes_state=True
    )
    norm_groups: int = key(8, integer(1), "groups", "group: of the channels", since=3, shapes_state=True)
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
    lower_blocks: int = key(0, integer(0), "blocks", "the first ones, which learn at `optimizer.lower_rate`", since=4)
    lower_rate: float = key(0.0, UNIT, "of learning_rate", "rate of the first blocks; 0 freezes them", since=4)
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
        8, integer(1), "steps", "in one call of the accelerator, with `data.backend=device`; 1 on a CPU", since=5,
        scope="execution",
    )  # fmt: skip
    patience: int = key(10, integer(0), "epochs", "without a lower validation loss before training stops")
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


@dataclass(frozen=True)
class Eval:
    """What the network sees of a picture in evaluation and prediction."""

    size: int = key(0, integer(0), "pixels", "side of the picture; 0: `model.input_size`", since=3)
    crop_area: float = key(1.0, number(0, 1, open_low=True), "of the area", "share shown, in the middle", since=3)
    flip: bool = key(False, BOOL, "", "average the probabilities of the picture and its mirror image", since=3)
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

    @property
    def input_size(self) -> int:
        """Side of the pictures that the network trains on, pixels."""
        return self.model.input_size or self.data.image_size

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
