"""The page's resizing, in JavaScript, against Pillow's."""

import base64
from importlib import resources

import numpy as np
import PIL
import pytest
from PIL import Image

from foodjax.data.geometry import FILTERS, to_square

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = [(1, 1), (16, 16), (50, 31), (50, 51), (61, 16), (15, 14), (333, 200)]
TALL = [(2, 90), (31, 50), (16, 40), (200, 450)]  # Pillow resizes them along columns first, from 13 on
NEW = int(PIL.__version__.split(".")[0]) >= 13
# Runs toSquare on a picture given as base64 of RGBA, and returns base64 of RGB.
RUN = """([text, width, height, side, name, geometry]) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const read = (left, top, w, h) => {
    const found = new Uint8Array(4 * w * h);
    for (let y = 0; y < h; y++) {
      const from = 4 * ((top + y) * width + left);
      found.set(bytes.subarray(from, from + 4 * w), 4 * w * y);
    }
    return found;
  };
  const pixels = toSquare(read, width, height, side, name, geometry);
  return btoa(pixels.reduce((text, byte) => text + String.fromCharCode(byte), ""));
}"""


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    page.add_script_tag(path=resources.files("foodjax.report") / "templates" / "resample.js")
    yield page
    page.close()


def noise(width, height):
    """Returns uint8 (height, width, 4), opaque; its levels are 0 and 255 too, where a filter overshoots."""
    rng = np.random.default_rng(width * height)
    pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[rng.random((height, width)) < 0.3] = 255
    pixels[rng.random((height, width)) < 0.3] = 0
    pixels[..., 3] = 255
    return pixels


def by_page(page, pixels, side, name, geometry):
    height, width = pixels.shape[:2]
    text = page.evaluate(RUN, [base64.b64encode(pixels.tobytes()).decode(), width, height, side, name, geometry])
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(side, side, 3)


@pytest.mark.parametrize("geometry", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_page_resizes_as_pillow_does(page, name, geometry):
    for width, height in SIZES + TALL * NEW:
        pixels = noise(width, height)
        expected = to_square(Image.fromarray(pixels).convert("RGB"), 16, name, geometry)
        np.testing.assert_array_equal(
            by_page(page, pixels, 16, name, geometry), expected, f"{width} x {height}", strict=True
        )


@pytest.mark.parametrize("name", FILTERS)
def test_every_ratio_of_sizes_reads_the_pixels_that_pillow_reads(page, name):
    pixels = noise(97, 97)
    rows = Image.fromarray(pixels).convert("RGB")
    for side in (*range(1, 20), *range(90, 103), 129, 194, 291):
        expected = np.asarray(rows.resize((side, side), FILTERS[name]))
        np.testing.assert_array_equal(by_page(page, pixels, side, name, "stretch"), expected, f"{side}")


@pytest.mark.parametrize("width,height", [(1100, 980)] + [(300, 3600)] * NEW)
def test_a_large_picture_is_read_in_pieces(page, width, height):
    assert width * height > 2**20
    pixels = noise(width, height)
    expected = to_square(Image.fromarray(pixels).convert("RGB"), 48, "bilinear", "stretch")
    np.testing.assert_array_equal(by_page(page, pixels, 48, "bilinear", "stretch"), expected)


def test_halves_are_rounded_as_python_does(page):
    values = [0.5, 1.5, 2.5, 2.4999, 3.7, 48.0]
    assert page.evaluate("(values) => values.map(roundHalfEven)", values) == [round(x) for x in values]
