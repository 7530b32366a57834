import io
import warnings

import numpy as np
import pytest
from helpers import encode
from PIL import Image

from foodjax.data.decode import decode, thumbnail


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(mode):
    buffer = io.BytesIO()
    image = Image.new("I;16", (20, 10)) if mode == "I;16" else Image.new("RGB", (20, 10), "white").convert(mode)
    image.save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    assert decode(buffer.getvalue(), 8, "nearest").shape == (8, 8, 3)


def test_nearest_takes_the_pixel_under_the_centre():
    ramp = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    np.testing.assert_array_equal(decode(buffer.getvalue(), 2, "nearest"), ramp[1::2, 1::2])


def test_an_exif_turn_is_obeyed(picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned = decode(encode(picture, exif=exif), 24, "nearest")
    np.testing.assert_array_equal(turned, np.rot90(np.asarray(picture), -1))
    plain = decode(encode(picture, exif=exif), 24, "nearest", decoding="plain")
    np.testing.assert_array_equal(plain, np.asarray(picture))


def test_every_mode_looks_as_in_a_viewer(picture):
    def seen(image, kind="PNG"):
        return decode(encode(image, kind), 24, "nearest").astype(int)

    grey = np.asarray(picture.convert("L"))
    np.testing.assert_array_equal(seen(Image.fromarray(grey.astype(np.uint16) * 257))[..., 1], grey)
    np.testing.assert_array_equal(seen(picture.convert("L"))[..., 0], grey)
    colours = picture.quantize(8)
    np.testing.assert_array_equal(seen(colours), np.asarray(colours.convert("RGB")))
    clear = picture.convert("RGBA")
    clear.putalpha(0)
    assert (seen(clear) == 255).all()
    half = picture.convert("RGBA")
    half.putalpha(128)
    assert abs(seen(half) - (np.asarray(picture, float) * 128 / 255 + 127)).max() <= 1
    cmyk = picture.convert("CMYK")
    np.testing.assert_array_equal(seen(cmyk, "TIFF"), np.asarray(cmyk.convert("RGB")))


def plain(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 10, 10)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def few_pixels(monkeypatch):
    """Pillow warns of more than 100 pixels (for 89 million) and refuses more than 200."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)


def test_a_large_picture_is_decoded_with_a_warning(few_pixels):
    with pytest.warns(Image.DecompressionBombWarning):
        pixels = decode(plain(12, 12), 4, "nearest")
    assert (pixels == np.array([200, 10, 10], np.uint8)).all()


def test_setup_ignores_the_warning(few_pixels):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module=r"PIL\.")  # as setup does; pytest has filters of its own
        decode(plain(12, 12), 4, "nearest")
    assert not found


def test_too_large_a_picture_is_refused(few_pixels):
    with pytest.raises(ValueError, match="15 x 12 pixels, more than 150"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decode(plain(15, 12), 4, "nearest", max_pixels=150)


def test_a_jpeg_of_hundreds_of_scans_is_refused():
    """Each scan is decoded over the whole picture: 0.2 MB took seconds. A usual progressive JPEG has about ten."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    encoded = encode(picture, "JPEG", progressive=True, quality=95)
    assert 1 < encoded.count(b"\xff\xda") < 20
    decode(encoded, 16, "bilinear")
    last = encoded[encoded.rindex(b"\xff\xda") : -2]
    with pytest.raises(ValueError, match="a JPEG of 3.. scans, more than 100"):
        decode(encoded[:-2] + last * 300 + encoded[-2:], 16, "bilinear")


def test_a_thumbnail_is_upright_and_keeps_its_shape():
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = np.broadcast_to(np.linspace(0, 255, 1200).astype(np.uint8)[None, :, None], (800, 1200, 3))
    found = thumbnail(encode(Image.fromarray(ramp), "JPEG", exif=exif), 60).astype(int)
    assert found.shape == (60, 40, 3)  # its left side is up
    np.testing.assert_allclose(found[:, 20, 0], (np.arange(60) + 0.5) * 255 / 60, atol=3)
    assert thumbnail(plain(12, 5), 60).shape == (5, 12, 3)
    with pytest.raises(ValueError, match="not a picture of a known kind"):
        thumbnail(b"text", 60)
