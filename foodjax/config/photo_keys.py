"""The keys of photographs and of their augmentation; `keys` has the other groups."""

from dataclasses import dataclass

from foodjax.config.key import key
from foodjax.config.rules import (
    AREA,
    BOOL,
    FOLD,
    FRACTION,
    MAX_BATCH,
    MAX_SIDE,
    POSITIVE,
    RANGE,
    SEED,
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
        128, integer(0, MAX_SIDE), "pixels",
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
    fold: str = key(
        "", FOLD, "",
        "cross-validation: 2/5 tests on the second of five folds of train and validation; empty: on the test part",
        since=13, scope="evaluation",
    )  # fmt: skip
    fold_seed: int = key(0, SEED, "", "of the assignment to folds; another one repeats a cross-validation", since=13)
    group: str = key(
        "", TEXT, "", "column of `data.labels`: photographs with one value in it stay in one fold", since=13
    )
    train_per_class: int = key(0, integer(0), "images", "at most so many of each class to train on; 0: all", since=4)
    batch_size: int = key(32, integer(0, MAX_BATCH), "images", "in a training step; 0: chosen")
    eval_batch_size: int = key(
        50, integer(1, MAX_BATCH), "images", "in an evaluation step; changes memory and speed, no result", scope="place"
    )
    on_error: str = key("stop", choice("stop", "skip"), "", "at pictures that do not decode", scope="evaluation")
    duplicates: str = key(
        "tell", choice("tell", "drop"), "", "drop: train without the pictures that validation or test holds too",
        since=10,
    )  # fmt: skip
    exclude: str = key(
        "", TEXT, "", "list of photographs (text, or CSV with a column file) left out of training and validation",
        since=13, scope="place",
    )  # fmt: skip
    cache_dir: str = key("", TEXT, "", "prepared pictures; empty: the user's cache folder", scope="place")
    drawn_train: int = key(150, integer(1, 10**6), "images", "of each class to train on, with `data.source=drawn`")
    drawn_test: int = key(30, integer(1, 10**6), "images", "of each class to test on, with `data.source=drawn`")


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
        0, integer(0, 100), "operations", "RandAugment's N: drawn for each picture, on top of the others", since=3,
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
