import io
import warnings

import numpy as np
import PIL.Image
import pytest

from foodjax.data.decode import decode


def encode(width, height):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (200, 10, 10)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def few_pixels(monkeypatch):
    """Pillow warns of more than 100 pixels (for 89 million) and refuses more than 200."""
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)


def test_a_large_picture_is_decoded_with_a_warning(few_pixels):
    with pytest.warns(PIL.Image.DecompressionBombWarning):
        pixels = decode(encode(12, 12), 4, "nearest")
    assert (pixels == np.array([200, 10, 10], np.uint8)).all()


def test_setup_ignores_the_warning(few_pixels):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module=r"PIL\.")  # as setup does; pytest has filters of its own
        decode(encode(12, 12), 4, "nearest")
    assert not found


def test_too_large_a_picture_is_refused(few_pixels):
    with pytest.raises(ValueError, match="15 x 12 pixels, more than 150"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decode(encode(15, 12), 4, "nearest", max_pixels=150)
