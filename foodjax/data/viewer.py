"""Photographs as a viewer shows them: upright, transparent parts on white, 16 bits scaled to 8.

Of several frames the first is shown. Colour profiles are not applied.
"""

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
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


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
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    white = 65535
    if image.mode == "F":
        white = 1
    elif tags.get(_BITS_PER_SAMPLE) == (12,):
        white = 4095
    low, high = values.min(), values.max()
    if not 0 <= low <= high <= white:
        raise ValueError(f"grey values from {low} to {high}: needs 0 to {white}, or 8 bits")
    levels = (values / (white / 255)).round().astype(np.uint8)
    grey = Image.fromarray(255 - levels if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else levels)
    clear = image.info.get("transparency")
    if isinstance(clear, int):  # the value of transparent pixels, of 16 bits
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey
