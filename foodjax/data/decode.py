"""Decodes and resizes a photograph; broken or foreign bytes raise a ValueError."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from foodjax.data.formats import FORMATS, open_heif

MAX_PIXELS = 100_000_000  # of one photograph; more is refused before it is decoded
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def decode(
    encoded: bytes, size: int, resize: str, *, as_seen: bool = False, max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Decodes and resizes as Keras' `load_img(target_size=(size, size), interpolation=resize)` does.

    The aspect ratio is not kept and an EXIF orientation is ignored, as in the tutorial. Pillow may warn, for example
    of more than 90 million pixels; after `foodjax.setup()` its warnings are ignored.

    Args:
        encoded: a JPEG, PNG, ... file.
        size: side of the result, pixels.
        resize: nearest, bilinear, bicubic, lanczos or box.
        as_seen: obey the EXIF orientation, put transparent pictures on white and scale 16 bits to 8, as viewers do.
        max_pixels: limit of width x height; a larger picture is refused before it is decoded.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ValueError: the bytes are not a whole picture, or it has more than max_pixels.
    """
    if not encoded:
        raise ValueError("missing or empty")
    try:
        with open_heif(encoded, max_pixels) or Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise ValueError(f"{image.width} x {image.height} pixels, more than {max_pixels}")
            rgb = _as_seen(image) if as_seen else image.convert("RGB")
            if rgb.size != (size, size):
                rgb = rgb.resize((size, size), _FILTERS[resize])
            return np.asarray(rgb)
    except UnidentifiedImageError:
        raise ValueError(f"not a picture of a known kind ({', '.join(FORMATS)})") from None
    except ValueError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen types for broken files
        raise ValueError(str(error) or type(error).__name__) from None


def _as_seen(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits; Pillow would clip them
        image = Image.fromarray((np.clip(np.asarray(image), 0, 65535) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
