"""Photographs as a viewer shows them: upright, transparent parts on white, 16 bits scaled to 8.

Of several frames the first is shown. Colour profiles are not applied. Alpha and 16 bits are changed strip by
strip, which takes no further memory of the size of the picture.
"""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_STRIP = 2**20  # pixels that are changed at once
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF: two tags, and a value of the second


def to_rgb(image: Image.Image) -> Image.Image:
    """Returns an open picture as a viewer shows it, in RGB.

    Raises:
        ValueError: its values are not those of a photograph, 0..65535 or 0..1.
        Exception: of Pillow, if the file is damaged.
    """
    image.load()
    turn = _TURNS.get(_orientation(image))
    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_8_bits(image)
    if turn is not None:
        image = image.transpose(turn)
    if image.has_transparency_data:
        return _changed(image, "RGB", _on_white)
    return image.convert("RGB")


def _on_white(strip: Image.Image) -> Image.Image:
    strip = strip.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip).convert("RGB")


def _changed(image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Returns a new picture of a mode, of which each strip is what `change` made of it."""
    result = Image.new(mode, image.size)
    for top, strip in _strips(image):
        result.paste(change(strip), (0, top))
    return result


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yields the first row and the pixels of each strip."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation, 1 to 8; 1 where the tags are missing or damaged: the picture itself is whole.

    ImageOps.exif_transpose also writes the tags again, which fails for more of the damaged ones.
    """
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow's readers of tags raise several types
        return 1
    return found if isinstance(found, int) else 1


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scales grey values of 12, 16 or 32 bits; Pillow itself would clip them to 0..255.

    Raises:
        ValueError: a value is out of range.
    """
    tags = getattr(image, "tag_v2", {})
    white = 65535
    if image.mode == "F":
        white = 1
    elif tags.get(_BITS_PER_SAMPLE) == (12,):
        white = 4095
    extremes = [(values.min(), values.max()) for values in (np.asarray(strip) for _, strip in _strips(image))]
    low, high = np.min([low for low, _ in extremes]), np.max([high for _, high in extremes])
    if not 0 <= low <= high <= white:
        raise ValueError(f"grey values from {low} to {high}: needs 0 to {white}, or 8 bits")
    clear = image.info.get("transparency")  # of 16 bits: the value of transparent pixels
    mode = "LA" if isinstance(clear, int) else "L"
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO

    def scale(strip: Image.Image) -> Image.Image:
        values = np.asarray(strip)
        levels = (values / (white / 255)).round().astype(np.uint8)
        grey = Image.fromarray(255 - levels if inverted else levels)
        if mode == "LA":
            grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
        return grey

    return _changed(image, mode, scale)
