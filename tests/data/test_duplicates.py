import collections
import io
import string

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array, csgraph
from sklearn.datasets import load_digits

from foodjax.data.decode import decode
from foodjax.data.duplicate_groups import rows_to_drop
from foodjax.data.duplicates import Pair, Part, components, confirm, find_duplicates
from foodjax.data.fingerprint import fingerprint

CHANGES = {
    "half": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "double": lambda image: image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC),
    "quality 40": lambda image: image,
    "mirrored": ImageOps.mirror,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "cropped by 1 %": lambda image: ImageOps.crop(image, (image.width // 100, image.height // 100)),
}


def textures(count, size, seed=0):
    """Smooth random pictures with detail everywhere, uint8 (count, size, size, 3)."""
    noise = np.random.default_rng(seed).standard_normal((count, size, size, 3))
    smooth = sum(s * gaussian_filter(noise, (0, s, s, 0)) for s in (1, size / 32, size / 16))
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def changed(image, change, size, resize="nearest"):
    """The picture, changed and stored as a JPEG file, as training would see it."""
    buffer = io.BytesIO()
    CHANGES[change](image).save(buffer, "JPEG", quality=40 if change == "quality 40" else 85)
    return decode(buffer.getvalue(), size, resize)


def characters(count, size=128, seed=0):
    """Different drawings of one black character on white, and their (character, font size), for `count` drawings."""
    rng, drawn = np.random.default_rng(seed), {}
    fonts = {points: ImageFont.load_default(points) for points in range(10, 100)}
    while len(drawn) < count:
        points, character = int(rng.integers(10, 100)), str(rng.choice(list(string.ascii_letters + string.digits)))
        image = Image.new("RGB", (size, size), "white")
        left, top, right, bottom = fonts[points].getbbox(character)
        x, y = rng.integers(2, (size - right + left, size - bottom + top))
        ImageDraw.Draw(image).text((x - left, y - top), character, "black", fonts[points])
        drawn.setdefault(image.tobytes(), (np.asarray(image), (character, points)))
    images, names = zip(*drawn.values(), strict=True)
    return np.stack(images), list(names)


@pytest.mark.parametrize("size", [32, 56, 100, 128])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_picture_is_found_and_no_other(change, size):
    images = textures(12, size)
    big = [Image.fromarray(picture).resize((2 * size, 2 * size), Image.Resampling.BICUBIC) for picture in images]
    seen = np.stack([np.asarray(picture.resize((size, size), Image.Resampling.BOX)) for picture in big])
    copy = np.stack([changed(picture, change, size, "box") for picture in big[:5]])
    pairs = find_duplicates({"train": Part(seen, np.arange(12)), "test": Part(copy, np.arange(5))})
    assert pairs == [Pair("train", i, "test", i, "near", "between parts") for i in range(5)]


def test_equal_files_and_equal_pixels_are_exact_duplicates():
    images = textures(6, 32)
    images[4] = images[1]
    digests = ["a", None, "b", None, None, "a"]
    pairs = find_duplicates({"train": Part(images, np.array([0, 0, 0, 0, 1, 0]), digests)})
    assert pairs == [
        Pair("train", 0, "train", 5, "exact", "within a class"),
        Pair("train", 1, "train", 4, "exact", "across classes"),
    ]


def test_parts_share_an_array_by_rows():
    images = textures(8, 32)
    images[6], images[7] = images[1], images[2]
    labels = np.zeros(8, int)
    parts = {
        "train": Part(images, labels, rows=np.array([1, 3, 5, 7])),
        "validation": Part(images, labels, rows=[6, 2]),
    }
    pairs = find_duplicates(parts)
    assert [pair[:4] for pair in pairs] == [("train", 1, "validation", 6), ("train", 7, "validation", 2)]
    assert {pair.where for pair in pairs} == {"between parts"}
    assert rows_to_drop(pairs).tolist() == [1, 7]


def test_many_equal_pictures_give_one_pair_each():
    images = np.full((3000, 32, 32, 3), 255, np.uint8)
    pairs = find_duplicates({"train": Part(images, np.zeros(3000, int))})
    assert [pair[:4] for pair in pairs] == [("train", 0, "train", i) for i in range(1, 3000)]


def test_flat_pictures_of_other_colours_are_not_duplicates():
    images = np.repeat(np.arange(0, 250, 5, dtype=np.uint8), 32 * 32 * 3).reshape(-1, 32, 32, 3)
    assert find_duplicates({"train": Part(images, np.zeros(50, int))}) == []


def test_an_object_of_another_colour_on_white_is_not_a_duplicate():
    images = np.full((2, 64, 64, 3), 255, np.uint8)
    images[0, 20:40, 24:40], images[1, 20:40, 24:40] = (200, 0, 0), (0, 102, 0)  # of one luminance
    assert find_duplicates({"train": Part(images, np.zeros(2, int))}) == []


def test_characters_on_white_are_not_taken_for_one_another():
    images, names = characters(2000)
    pairs = find_duplicates({"train": Part(images, np.zeros(2000, int))})
    assert {pair.kind for pair in pairs} <= {"near"}
    assert [(names[p.row], names[p.other_row]) for p in pairs if names[p.row] != names[p.other_row]] == []
    assert len(pairs) <= 3  # the same character in the same size and nearly the same place


def test_a_recompressed_character_is_found_among_others():
    images, names = characters(300, seed=1)
    copy = np.stack([changed(Image.fromarray(image), "quality 40", 128) for image in images[:100]])
    pairs = find_duplicates({"train": Part(images, np.zeros(300, int)), "test": Part(copy, np.zeros(100, int))})
    found = [p for p in pairs if p.where == "between parts"]
    assert len(found) >= 90
    assert {(p.row, p.other_row) for p in found if names[p.row] != names[p.other_row]} == set()


@pytest.mark.parametrize("size", [32, 96])
def test_handwritten_digits_are_not_taken_for_one_another(size):
    digits = load_digits()
    small = [Image.fromarray((15 * image).astype(np.uint8)).convert("RGB") for image in digits.images]
    border = size // 8
    inner = [image.resize((size - 2 * border, size - 2 * border), Image.Resampling.BICUBIC) for image in small]
    images = np.stack([np.pad(image, ((border, border), (border, border), (0, 0))) for image in inner])
    assert find_duplicates({"train": Part(images, digits.target)}) == []


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 16, 31, 33])
def test_small_pictures(size):
    images = np.random.default_rng(0).integers(0, 256, (9, size, size, 3), np.uint8)
    images[8] = images[2]
    pairs = find_duplicates({"train": Part(images, np.zeros(9, int))})
    assert pairs == [Pair("train", 2, "train", 8, "exact", "within a class")]


def test_parts_without_pictures():
    empty = Part(np.zeros((0, 32, 32, 3), np.uint8), np.zeros(0, int))
    assert find_duplicates({}) == []
    assert find_duplicates({"train": empty, "test": empty}) == []
    images = textures(2, 48)
    assert find_duplicates({"train": Part(images[:1], [0]), "validation": empty, "test": Part(images[1:], [0])}) == []


def test_parts_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\[32, 48\] pixels: needs one size"):
        find_duplicates({"train": Part(textures(2, 32), [0, 0]), "test": Part(textures(2, 48), [0, 0])})


def test_a_fingerprint_does_not_depend_on_the_neighbours():
    images = textures(70, 48)
    whole, alone = fingerprint(images), fingerprint(images, np.array([69, 3]))
    for name in ("hashes", "small", "plain", "checksums"):
        np.testing.assert_array_equal(getattr(whole, name)[[69, 3]], getattr(alone, name), err_msg=name)


def test_mirror_images_have_one_hash():
    images = textures(20, 96)
    differ = fingerprint(images).hashes ^ fingerprint(images[:, :, ::-1]).hashes
    assert np.bitwise_count(differ).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("size", "resize"), [(128, "nearest"), (128, "bilinear"), (56, "box"), (224, "bilinear")])
def test_planted_pairs_of_photographs_are_found(food_photos, size, resize):
    files = sorted(food_photos.glob("images/*/*.jpg"))[7::22][:200]  # the thresholds were chosen on others
    photos = [Image.open(file).convert("RGB") for file in files]
    changes = ("half", "quality 40", "mirrored", "double")
    copies = np.stack([changed(photo, changes[i % 4], size, resize) for i, photo in enumerate(photos)])
    seen = np.stack([decode(file.read_bytes(), size, resize) for file in files])
    labels = np.zeros(200, int)
    pairs = find_duplicates({"train": Part(seen, labels), "test": Part(copies, labels)})
    planted = [pair for pair in pairs if pair.row == pair.other_row and pair.where == "between parts"]
    print(f"{len(planted)} of 200 found, {len(pairs) - len(planted)} other pairs")
    assert len(planted) >= 190


@pytest.mark.slow
def test_unrelated_photographs_of_one_class_are_not_taken_for_one_another(food_photos):
    rng, wrong = np.random.default_rng(0), collections.Counter()
    for folder in sorted((food_photos / "images").iterdir())[:5]:
        images = np.stack([decode(file.read_bytes(), 128, "nearest") for file in sorted(folder.iterdir())])
        one = rng.integers(0, len(images), 400)
        pairs = np.stack([one, (one + rng.integers(1, len(images), 400)) % len(images)], 1)
        # The hashes would not let these pass: their pixels are compared.
        wrong[folder.name] = len(confirm(pairs, fingerprint(images), lambda rows, images=images: images[rows]))
    assert wrong.total() <= 2


# Looked at: each of these pairs shows one photograph.
KNOWN = {
    ("beef_carpaccio/1769984", "beef_carpaccio/1801501"), ("beet_salad/1855818", "beet_salad/1855829"),
    ("beignets/1996069", "beignets/1997437"), ("beignets/2004759", "beignets/2004832"),
    ("beignets/2701567", "beignets/2706264"), ("bibimbap/1600563", "bibimbap/1792799"),
    ("bibimbap/2247933", "bibimbap/2399561"), ("baklava/1979583", "baklava/2186251"),
    ("beet_salad/1362701", "beet_salad/1404312"), ("baby_back_ribs/2306008", "baby_back_ribs/2306066"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("size", "resize"), [(128, "nearest"), (56, "box")])
def test_the_duplicates_of_food_101(food_photos, size, resize):
    files = sorted(food_photos.glob("images/*/*.jpg"))
    images = np.stack([decode(file.read_bytes(), size, resize) for file in files])
    names = [f"{file.parent.name}/{file.stem}" for file in files]
    pairs = find_duplicates(
        {"train": Part(images, np.unique([n.split("/")[0] for n in names], return_inverse=True)[1])}
    )
    found = {(names[pair.row], names[pair.other_row]) for pair in pairs}
    print(sorted(found))
    assert found <= KNOWN
    assert len(found) >= 7


@pytest.mark.parametrize("num_links", [0, 1, 20, 60, 300])
def test_components_are_those_of_scipy_numbered_alike(num_links):
    links = np.random.default_rng(num_links).integers(0, 100, (num_links, 2))
    graph = coo_array((np.ones(num_links), links.T), shape=(100, 100))
    found = components([(i, j) for i, j in links.tolist()], 100)
    np.testing.assert_array_equal(found, csgraph.connected_components(graph, directed=False)[1])


def test_no_photographs_have_no_components():
    assert components([], 0).tolist() == []
