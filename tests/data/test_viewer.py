"""What a viewer shows of a file, for each way in which files say it."""

import io
import struct

import numpy as np
import pytest
from helpers import encode
from PIL import ExifTags, Image, ImageCms

from foodjax.data.decode import decode

# Orientation -> how a camera that writes it stores what it saw.
STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, -1),
}


def shown(encoded, size=24):
    return decode(encoded, size, "nearest")


def exif(value, tag=ExifTags.Base.Orientation):
    tags = Image.Exif()
    tags[tag] = value
    return tags


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_every_orientation_is_upright(picture, orientation, kind):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(picture))))
    lossless = {"lossless": True} if kind == "WEBP" else {}
    found = shown(encode(stored, kind, exif=exif(orientation), **lossless))
    np.testing.assert_array_equal(found, np.asarray(picture))


@pytest.mark.parametrize("geometry", ["stretch", "crop", "pad"])
def test_a_picture_is_turned_before_it_becomes_square(picture, geometry):
    upright = picture.crop((0, 0, 10, 20))
    turned = encode(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif(6))
    found = decode(turned, 8, "box", geometry=geometry)
    np.testing.assert_array_equal(found, decode(encode(upright), 8, "box", geometry=geometry))
    assert not np.array_equal(found, decode(turned, 8, "box", geometry=geometry, decoding="plain"))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_changes_nothing(picture, orientation):
    np.testing.assert_array_equal(shown(encode(picture, exif=exif(orientation))), np.asarray(picture))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "tags",
    [
        b"Exif\0\0nothing of the kind",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01\x12\0\x03\0\0\0\x01",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04ABC\0\0\0\0\0",  # text
    ],
)
def test_damaged_tags_lose_no_photograph(picture, tags):
    found = shown(encode(picture, "JPEG", exif=tags))
    np.testing.assert_array_equal(found, shown(encode(picture, "JPEG")))


def test_16_bits_are_scaled_in_every_format(picture):
    grey = np.asarray(picture.convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    for kind in ("PNG", "TIFF", "PPM"):
        found = shown(encode(deep, kind))
        for channel in range(3):
            np.testing.assert_array_equal(found[..., channel], grey)
    assert (decode(encode(deep), 24, "nearest", decoding="plain") == 255).mean() > 0.9  # clipped


def tiff(values, bits, photometric):
    """Returns a TIFF of one grey strip of 12 or 16 bits, which Pillow reads but does not write."""
    height, width = values.shape
    strip = values.astype("<u2").tobytes()
    if bits == 12:
        a, b = values.reshape(-1, 2).T
        strip = np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], 1).astype(np.uint8).tobytes()
    tags = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: photometric,
        273: 122,
        277: 1,
        278: height,
        279: len(strip),
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + strip


@pytest.mark.parametrize("photometric,bits", [(1, 12), (1, 16), (0, 16)])
def test_tiffs_of_12_bits_and_of_white_0(photometric, bits):
    values = np.arange(24 * 24).reshape(24, 24) * ((2**bits - 1) // 575)
    expected = np.round(values * 255 / (2**bits - 1))
    found = shown(tiff(values, bits, photometric))[..., 0]
    np.testing.assert_array_equal(found, expected if photometric else 255 - expected)


def test_16_bits_of_a_colour_picture_are_scaled(picture):
    raw = np.asarray(picture).astype(">u2") * 257
    header = f"P6 {picture.width} {picture.height} 65535\n".encode()
    np.testing.assert_array_equal(shown(header + raw.astype(">u2").tobytes()), np.asarray(picture))


def test_16_bits_with_a_transparent_value(picture):
    grey = np.asarray(picture.convert("L"))
    clear = int(grey[3, 4])
    encoded = encode(Image.fromarray(grey.astype(np.uint16) * 257), transparency=clear * 257)
    np.testing.assert_array_equal(shown(encoded)[..., 0], np.where(grey == clear, 255, grey))


def test_floats_from_0_to_1_are_scaled_and_others_are_refused(picture):
    grey = np.asarray(picture.convert("L"))
    found = shown(encode(Image.fromarray((grey / 255).astype(np.float32)), "TIFF"))
    np.testing.assert_array_equal(found[..., 0], grey)
    for values, words in (
        (grey.astype(np.float32), "grey values from .* to 2.*: needs 0 to 1, or 8 bits"),
        (np.full((4, 4), np.nan, np.float32), "grey values from nan"),
        (np.full((4, 4), 70_000, np.int32), "grey values from 70000 to 70000: needs 0 to 65535"),
        (np.full((4, 4), -1, np.int32), "grey values from -1"),
    ):
        with pytest.raises(ValueError, match=words):
            shown(encode(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(picture, kind):
    colours = np.asarray(picture.convert("L").convert("RGB") if kind == "LA" else picture)
    alpha = np.zeros((24, 24), np.uint8)
    alpha[:, 6:], alpha[:, 12:] = (255, 255) if kind == "P" else (100, 255)
    if kind == "P":
        image = picture.quantize(200)
        index = np.array(image)
        index[alpha == 0] = 250
        colours = np.asarray(image.convert("RGB"))
        cut = Image.fromarray(index, "P")
        cut.putpalette(image.getpalette() + [10] * (768 - len(image.getpalette())))
        encoded = encode(cut, transparency=250)
    else:
        image = Image.fromarray(colours).convert(kind)
        image.putalpha(Image.fromarray(alpha))
        encoded = encode(image)
    share = alpha[..., None] / 255
    assert np.abs(shown(encoded) - (colours * share + 255 * (1 - share))).max() <= 1
    assert not np.array_equal(shown(encoded), decode(encoded, 24, "nearest", decoding="plain"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_shown(picture, kind):
    frames = [picture.quantize(64), Image.new("RGB", picture.size, "red").quantize(64)]
    frames = frames if kind == "GIF" else [frame.convert("RGB") for frame in frames]
    options = {"lossless": True} if kind == "WEBP" else {}
    encoded = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(encoded)).n_frames == 2
    np.testing.assert_array_equal(shown(encoded), np.asarray(frames[0].convert("RGB")))


def test_a_colour_profile_is_not_applied(picture):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    np.testing.assert_array_equal(shown(encode(picture, icc_profile=profile)), np.asarray(picture))


@pytest.mark.parametrize("strip", [1, 50, 10**6])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_strips_are_changed_as_the_whole_picture(picture, mode, strip, monkeypatch):
    if mode == "I;16":
        values = np.asarray(picture.convert("L")).astype(np.uint16) * 257 + 3
        stored = encode(Image.fromarray(values), transparency=int(values[3, 4]))
        expected = np.repeat((values / 257).round().astype(np.uint8)[..., None], 3, -1)
        expected[values == values[3, 4]] = 255
    else:
        clear = picture.convert("RGBA")
        clear.putalpha(picture.convert("L"))
        clear = clear.quantize(16) if mode == "P" else clear.convert(mode)
        stored, whole = encode(clear), clear.convert("RGBA")
        expected = np.asarray(Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB"))
    monkeypatch.setattr("foodjax.data.viewer._STRIP", strip)
    np.testing.assert_array_equal(shown(stored), expected)
