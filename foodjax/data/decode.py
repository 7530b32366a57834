"""Decodes a photograph to a square of RGB pixels; broken or foreign bytes raise a ValueError.

Training, evaluation, prediction, the browser page and inspect all decode here.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, UnidentifiedImageError

from foodjax.config.photo_keys import Data
from foodjax.data import viewer
from foodjax.data.formats import FORMATS, open_heif
from foodjax.data.geometry import to_square

# Of one photograph; more is refused before it is decoded.
MAX_PIXELS = 100_000_000
MAX_SCANS = 100  # of a progressive JPEG; a usual one has about ten, and each scan costs a pass over the whole picture


def decode(
    encoded: bytes,
    size: int,
    resize: str,
    *,
    geometry: str = "stretch",
    decoding: str = "viewer",
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Decodes a photograph and resizes it to a square.

    With decoding "plain" and geometry "stretch" it does what Keras' `load_img(target_size=(size, size),
    interpolation=resize)` does; with "viewer" too, for pictures that are neither turned by EXIF nor transparent and
    have 8 bits. Pillow may warn, for example of more than 90 million pixels; after `foodjax.setup()` its warnings are
    ignored.

    Args:
        encoded: a JPEG, PNG, ... file.
        size: side of the result, pixels.
        resize: nearest, bilinear, bicubic, lanczos or box.
        geometry: stretch, crop or pad, see `to_square`.
        decoding: "viewer": as a viewer shows the file, see `viewer.to_rgb`; "plain": the EXIF orientation and
            transparency are ignored, and 16 bits are clipped to 8.
        max_pixels: limit of width x height; a larger picture is refused before it is decoded.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ValueError: the bytes are not a whole picture, or it has more than max_pixels or MAX_SCANS.
        MemoryError: there is not enough memory for its pixels.
    """

    def to_pixels(image: Image.Image) -> Image.Image:
        rgb = image.convert("RGB") if decoding == "plain" else viewer.to_rgb(image)
        return to_square(rgb, size, resize, geometry)

    return _decode(encoded, max_pixels, to_pixels)


def thumbnail(encoded: bytes, side: int) -> np.ndarray:
    """Decodes a photograph as a viewer shows it, with its aspect ratio, for people to look at.

    Args:
        encoded: a JPEG, PNG, ... file.
        side: of the longer side, pixels; a smaller picture stays as it is.

    Returns:
        uint8 (h, w, 3) with max(h, w) <= side.

    Raises:
        ValueError: as `decode` does.
    """

    def to_pixels(image: Image.Image) -> Image.Image:
        image.draft(None, (2 * side, 2 * side))  # a JPEG of 12 megapixels is decoded at an eighth of its size
        rgb = viewer.to_rgb(image)
        rgb.thumbnail((side, side), Image.Resampling.LANCZOS)
        return rgb

    return _decode(encoded, MAX_PIXELS, to_pixels)


def _decode(encoded: bytes, max_pixels: int, to_pixels: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    if not encoded:
        raise ValueError("missing or empty")
    if encoded.startswith(b"\xff\xd8") and (scans := encoded.count(b"\xff\xda")) > MAX_SCANS:
        raise ValueError(f"a JPEG of {scans} scans, more than {MAX_SCANS}")
    try:
        with open_heif(encoded, max_pixels) or Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise ValueError(f"{image.width} x {image.height} pixels, more than {max_pixels}")
            return np.asarray(to_pixels(image))
    except UnidentifiedImageError:
        raise ValueError(f"not a picture of a known kind ({', '.join(FORMATS)})") from None
    except (ValueError, MemoryError):  # a lack of memory is not the picture's fault
        raise
    except Exception as error:  # Pillow's decoders raise a dozen types for broken files
        raise ValueError(str(error) or type(error).__name__) from None


def decode_as(data: Data, encoded: bytes, *, decoding: str = "", max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decodes a photograph as an experiment does.

    Args:
        data: of the experiment's config: image_size, resize, geometry and decoding.
        encoded: as for `decode`.
        decoding: another one than the experiment's; "": the experiment's.
        max_pixels: as for `decode`.

    Returns:
        uint8 (H, H, 3) with H = data.image_size.

    Raises:
        ValueError: as `decode` does.
    """
    return decode(
        encoded, data.image_size, data.resize,
        geometry=data.geometry, decoding=decoding or data.decoding, max_pixels=max_pixels,
    )  # fmt: skip
