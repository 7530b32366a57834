import numpy as np
import pytest
from PIL import Image

from foodjax.data.geometry import FILTERS, GROUND, to_square


def ramp(width, height):
    """A picture whose red says the column and whose green says the row."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return Image.fromarray(np.stack([columns, rows, np.full_like(rows, 7)], -1))


def square(image, size, geometry, resize="nearest"):
    return np.asarray(to_square(image, size, resize, geometry))


@pytest.mark.parametrize("resize", FILTERS)
def test_stretch_is_the_tutorials_resizing(picture, resize):
    image = picture.crop((0, 0, 24, 15))
    np.testing.assert_array_equal(square(image, 10, "stretch", resize), image.resize((10, 10), FILTERS[resize]))


@pytest.mark.parametrize(
    "width,height,left,top", [(9, 4, 2, 0), (4, 9, 0, 2), (8, 4, 2, 0), (4, 4, 0, 0), (1, 300, 0, 149)]
)
def test_crop_keeps_the_middle(width, height, left, top):
    side = min(width, height)
    found = square(ramp(width, height), side, "crop")
    np.testing.assert_array_equal(found[0, :, 0], (np.arange(left, left + side) % 256))
    np.testing.assert_array_equal(found[:, 0, 1], (np.arange(top, top + side) % 256))


@pytest.mark.parametrize("resize", FILTERS)
def test_crop_brings_the_short_side_to_the_size(picture, resize):
    middle = picture.crop((4, 0, 20, 16))
    found = square(picture.crop((0, 0, 24, 16)), 8, "crop", resize)
    np.testing.assert_array_equal(found, middle.resize((8, 8), FILTERS[resize]))


@pytest.mark.parametrize("resize", FILTERS)
def test_pad_brings_the_long_side_to_the_size_on_grey(picture, resize):
    wide = picture.crop((0, 0, 24, 12))
    found = square(wide, 12, "pad", resize)
    np.testing.assert_array_equal(found[3:9], wide.resize((12, 6), FILTERS[resize]))
    assert (found[[0, 1, 2, 9, 10, 11]] == GROUND).all()
    tall = wide.transpose(Image.Transpose.TRANSPOSE)
    found = square(tall, 12, "pad", resize)
    np.testing.assert_array_equal(found[:, 3:9], tall.resize((6, 12), FILTERS[resize]))
    assert (found[:, [0, 1, 2, 9, 10, 11]] == GROUND).all()


@pytest.mark.parametrize("size", [(1000, 1), (1, 1000)])
def test_pad_keeps_a_line_of_the_thinnest_picture(size):
    found = square(Image.new("RGB", size, "red"), 20, "pad")
    assert (found == [255, 0, 0]).all(-1).sum() == 20
    assert (found == GROUND).all(-1).sum() == 380


@pytest.mark.parametrize("geometry", ["crop", "pad"])
@pytest.mark.parametrize("size", [7, 24, 40])
def test_a_square_picture_looks_the_same_with_every_geometry(picture, geometry, size):
    for resize in FILTERS:
        np.testing.assert_array_equal(square(picture, size, geometry, resize), square(picture, size, "stretch", resize))
