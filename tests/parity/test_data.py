"""Files, pixels and draws against flow_from_directory, load_img and ImageDataGenerator."""

import keras
import numpy as np
import pytest
from helpers import SHARED
from PIL import Image
from scipy.stats import ks_2samp

from experiments import food10
from foodjax.config.check import checked
from foodjax.config.photo_keys import Augment
from foodjax.data.augment.apply import apply_params
from foodjax.data.augment.sample import AugmentParams, sample_params
from foodjax.data.decode import decode
from foodjax.data.sources.find import select_classes
from foodjax.data.sources.folders import FolderSource
from foodjax.data.split import split
from parity import program

pytestmark = pytest.mark.parity
ORIENTATION = 274  # the EXIF tag


@pytest.fixture(scope="module")
def originals():
    """Paths of photographs as the archive holds them: 512 pixels, EXIF tags, one in greyscale."""
    paths = sorted((SHARED / "food-101-originals").glob("images/*/*.jpg"))
    if not paths:
        pytest.skip(f"no real photographs at {SHARED / 'food-101-originals'}")
    return paths


# Files


def keras_files(folder, part, subset, fraction=0.15):
    generator = program.create_generator(validation_split=fraction)
    return set(generator.flow_from_directory(folder / part, subset=subset, shuffle=False).filenames)


def our_files(root, protocol, fraction=0.15):
    """Returns (training, validation) files as the pipeline takes them."""
    listing = select_classes(FolderSource(root).listing(), 10, ())
    label_of = {name: label for label, name in enumerate(listing.class_names)}
    parts = []
    for examples in (sorted(listing.train), sorted(listing.test)):
        parts += [[e.id for e in examples], np.array([label_of[e.class_name] for e in examples])]
    rows = split(*parts, protocol, fraction)
    held = parts[2] if rows.validation_is_from_test else parts[0]
    return {f"{parts[0][row]}.jpg" for row in rows.train}, {f"{held[row]}.jpg" for row in rows.validation}


def count_different(ours, theirs):
    return sum(len(a ^ b) for a, b in zip(ours, theirs[:6], strict=True))


@pytest.mark.parametrize("protocol,part", [("holdout", "train"), ("tutorial", "test")])
def test_file_lists(parity, food_photos, tmp_path, protocol, part, capfd):
    folder = program.move_files(food_photos, tmp_path)
    theirs = keras_files(folder, "train", "training"), keras_files(folder, part, "validation")
    assert len(theirs[0]) == 3190
    assert len(theirs[1]) == {"holdout": 560, "tutorial": 110}[protocol]
    parity.holds("split", count_different(our_files(food_photos, protocol), theirs))
    parity.misses("split", count_different(our_files(food_photos, protocol, 0.2), theirs), "fraction 0.2")
    other = {"holdout": "tutorial", "tutorial": "holdout"}[protocol]
    parity.misses("split", count_different(our_files(food_photos, other), theirs), f"protocol {other}")


# Pixels


def worst_level(paths, method, ours):
    """Returns the largest difference in levels between `ours(bytes)` and Keras' image, over all paths."""
    worst = 0
    for path in paths:
        image = keras.utils.load_img(path, target_size=(128, 128), interpolation=method)
        theirs = keras.utils.img_to_array(image, dtype="int16")
        worst = max(worst, int(np.abs(ours(path.read_bytes()).astype(np.int16) - theirs).max()))
    return worst


@pytest.fixture(scope="module")
def originals_and_a_turned_one(originals, tmp_path_factory):
    """The photographs here have orientations 0 and 1 alone: adds one with the tag of a camera held upright."""
    images = [Image.open(path) for path in originals]
    assert "L" in {image.mode for image in images}
    assert any(ORIENTATION in image.getexif() for image in images)
    path = tmp_path_factory.mktemp("turned") / "turned.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    images[0].save(path, exif=exif, quality="keep")
    return [*originals, path]


@pytest.mark.parametrize("method,wrong", [("nearest", "box"), ("bilinear", "nearest")])
def test_resized_images(parity, originals, originals_and_a_turned_one, method, wrong):
    paths = originals_and_a_turned_one
    # As every new run decodes, and as Keras does for a photograph that is turned, too.
    parity.holds(method, worst_level(originals, method, lambda encoded: decode(encoded, 128, method)))
    parity.holds(method, worst_level(paths, method, lambda encoded: decode(encoded, 128, method, decoding="plain")))
    parity.misses(method, worst_level(originals, method, lambda encoded: decode(encoded, 128, wrong)), wrong)
    if method == "nearest":
        parity.misses(method, worst_level(paths, method, lambda encoded: decode(encoded, 128, method)), "EXIF obeyed")
        square = worst_level(originals, method, lambda encoded: decode(encoded, 128, method, geometry="crop"))
        parity.misses(method, square, "cropped")


# Augmentation


def tutorial_augment(**changes) -> Augment:
    """Returns what the tutorial does to a training picture, with other values where some are given."""
    config = food10.get_config()
    config.augment.update(changes)
    return checked(config).augment


def fraction_off(images, sampled, generator, wrong=None):
    """Returns the fraction of values that are more than one level away from apply_transform's."""
    ours = apply_params(images, sampled._replace(**(wrong or {}))).astype(np.int16)
    theirs = [
        generator.apply_transform(
            image.astype(np.float32),
            {
                "theta": np.rad2deg(angle),
                "tx": columns,
                "ty": rows,
                "flip_horizontal": bool(horizontal),
                "flip_vertical": bool(vertical),
                "brightness": brightness,
            },
        )
        for image, angle, rows, columns, horizontal, vertical, brightness in zip(images, *sampled[:6], strict=True)
    ]
    return float((np.abs(ours - np.stack(theirs)) > 1).mean())


@pytest.mark.parametrize("changes", [{}, {"shift_columns": 0.3, "brightness": (0.1, 0.9)}, {"brightness": (0.5, 1.5)}])
def test_augmented_images(parity, originals, changes):
    augment = tutorial_augment(**changes)
    images = np.stack([decode(path.read_bytes(), 128, "nearest") for path in originals])
    sampled, generator = sample_params(augment, 0, 7, len(images), 128), program.create_generator()
    parity.holds("augmentation", fraction_off(images, sampled, generator))
    if not changes:
        for name, wrong in [
            ("other shift sign", {"shift_rows": -sampled.shift_rows}),
            ("other turn", {"angle": -sampled.angle}),
            ("columns moved", {"shift_columns": sampled.shift_rows, "shift_rows": sampled.shift_columns}),
            ("flips swapped", {"flip_horizontal": sampled.flip_vertical, "flip_vertical": sampled.flip_horizontal}),
            ("brightness + 0.02", {"brightness": sampled.brightness + np.float32(0.02)}),
        ]:
            parity.misses("augmentation", fraction_off(images, sampled, generator, wrong), name)


# Draws

NUM_DRAWS = 10_000


@pytest.fixture(scope="module")
def keras_draws():
    """10,000 of Keras' draws, in foodjax's units."""
    np.random.seed(0)
    generator = program.create_generator()
    drawn = [generator.get_random_transform((128, 128, 3)) for _ in range(NUM_DRAWS)]
    column = {key: np.array([row[key] for row in drawn], float) for key in drawn[0] if drawn[0][key] is not None}
    return AugmentParams(
        np.deg2rad(column["theta"]), column["ty"], column["tx"],
        column["flip_horizontal"], column["flip_vertical"], column["brightness"],
    )  # fmt: skip


def smallest_p(theirs, augment):
    """Returns the smallest p of six Kolmogorov-Smirnov tests, one for each parameter."""
    steps = [sample_params(augment, 0, step, 32, 128) for step in range(-(-NUM_DRAWS // 32))]  # as training draws
    ours = [np.concatenate(column)[:NUM_DRAWS] for column in zip(*(sampled[:6] for sampled in steps), strict=True)]
    return min(ks_2samp(a, b).pvalue for a, b in zip(ours, theirs[:6], strict=True))


def test_draws(parity, keras_draws):
    parity.holds("draws", smallest_p(keras_draws, tutorial_augment()))
    for wrong in ({"rotation": 85.0}, {"shift_rows": 0.47}, {"shift_columns": 0.1}, {"brightness": (0.1, 0.73)}):
        (name, value), = wrong.items()  # fmt: skip
        parity.misses("draws", smallest_p(keras_draws, tutorial_augment(**wrong)), f"{name} {value}")
    parity.misses("draws", smallest_p(keras_draws, tutorial_augment(flip_vertical=False)), "no vertical flip")
