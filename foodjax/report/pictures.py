"""Photographs, feature maps and heat maps as encoded pictures. Pixels that are not uint8 are a TypeError."""

import base64
import functools
import io
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from foodjax.data.images import check_dtype
from foodjax.system.text import printable

_TILE, _GAP, _COLUMNS = 72, 3, 8  # pixels, pixels, tiles in a row of feature maps
_LINE = 22  # pixels, of a caption


def encode(pixels: np.ndarray, kind: str = "JPEG", quality: int = 90) -> bytes:
    """Encodes uint8 (H, W, 3) or (H, W, 4) as a JPEG, of a quality up to 100, or as a PNG file."""
    check_dtype(pixels)
    buffer = io.BytesIO()
    # Colours of half the resolution are for photographs that are larger than what the network gets.
    jpeg = {"quality": quality, "subsampling": "4:4:4" if quality >= 90 else "4:2:0"}
    # PNG: 22 ms for a sheet of feature maps, where "optimize" takes 94 ms for 1 % less.
    options = jpeg if kind == "JPEG" else {"compress_level": 4}
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def data_uri(pixels: np.ndarray, kind: str = "JPEG", quality: int = 90) -> str:
    """Returns a picture as a data URI, for the src of an img element."""
    return f"data:image/{kind.lower()};base64,{base64.b64encode(encode(pixels, kind, quality)).decode()}"


def photo_uri(pixels: np.ndarray) -> str:
    """Returns a photograph that is there to be looked at, not the network's view of it, as a data URI."""
    return data_uri(pixels, quality=80)


def enlarge(pixels: np.ndarray, side: int) -> np.ndarray:
    """Returns uint8 (H, W, 3) scaled so that its longer side is `side`; above a factor of 4, pixels stay squares."""
    check_dtype(pixels)
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    method = Image.Resampling.NEAREST if scale > 4 else Image.Resampling.BICUBIC
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(Image.fromarray(pixels).resize(size, method))


def channels(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the red, green and blue part of uint8 (H, W, 3), each as a picture in its own colour."""
    parts = {}
    for k, name in enumerate(("red", "green", "blue")):
        parts[name] = np.zeros_like(pixels)
        parts[name][..., k] = pixels[..., k]
    return parts


def most_varied(maps: np.ndarray, count: int) -> np.ndarray:
    """Returns the ascending indices of the `count` channels of maps (h, w, C) with the highest variance over pixels.

    One that is the same everywhere, such as a saturated one, has nothing to show, however large it is.
    """
    variance = maps.astype(np.float64).var(axis=(0, 1))
    return np.sort(np.argsort(-variance, kind="stable")[:count])


def mosaic(maps: np.ndarray) -> np.ndarray:
    """Draws feature maps (h, w, C) as tiles, each channel scaled from its minimum (dark) to its maximum.

    Returns:
        uint8 (H, W, 4), transparent between the tiles.
    """
    count = maps.shape[-1]
    columns = min(_COLUMNS, count)
    step = _TILE + _GAP
    sheet = np.zeros((-(-count // columns) * step - _GAP, columns * step - _GAP, 4), np.uint8)
    colours = matplotlib.colormaps["viridis"]
    for k in range(count):
        one = maps[..., k].astype(np.float32)
        low, high = one.min(), one.max()
        tile = (colours((one - low) / (high - low) if high > low else np.zeros_like(one)) * 255).astype(np.uint8)
        method = Image.Resampling.NEAREST if one.shape[0] < _TILE else Image.Resampling.BOX
        y, x = k // columns * step, k % columns * step
        sheet[y : y + _TILE, x : x + _TILE] = np.asarray(Image.fromarray(tile).resize((_TILE, _TILE), method))
    return sheet


def overlay(pixels: np.ndarray, cam: np.ndarray, side: int = 224) -> np.ndarray:
    """Lays a heat map over a grey photograph.

    Args:
        pixels: uint8 (H, W, 3).
        cam: heat map (h, w) in 0..1.
        side: side of the result, pixels.

    Returns:
        uint8 (side, side, 3).
    """
    check_dtype(pixels)
    photo = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).convert("L")
    heat = Image.fromarray(cam.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(heat), 0, 1)[..., None]
    colour = matplotlib.colormaps["inferno"](level[..., 0])[..., :3] * 255
    grey = np.asarray(photo, np.float32)[..., None]
    alpha = 0.75 * np.sqrt(level)
    return ((1 - alpha) * grey * 0.8 + alpha * colour).clip(0, 255).astype(np.uint8)


def scales() -> dict[str, str]:
    """Returns the colour scales of `overlay` ("cam") and of `mosaic` ("map") as data URIs, the lowest value left."""
    ramp = np.linspace(0, 1, 128)[None]
    grey = np.full((8, 8, 3), 128, np.uint8)
    cam = overlay(grey, np.repeat(ramp, 128, axis=0), 128)[:8]
    colours = (matplotlib.colormaps["viridis"](np.repeat(ramp, 8, axis=0))[..., :3] * 255).astype(np.uint8)
    return {"cam": data_uri(cam, "PNG"), "map": data_uri(colours, "PNG")}


def strip(images: list[np.ndarray], captions: list[tuple[str, str]], side: int = 224) -> np.ndarray:
    """Returns photographs beside one another, four in a row, each above its caption of two lines.

    Args:
        images: uint8 (H, W, 3) each.
        captions: of each, what was predicted, and what it is, or "" where that is the same. The first line has a green
            tick or a red cross; the lines are cut where they would reach the next photograph.
        side: of each photograph on the strip, pixels.
    """
    columns, font = min(4, len(images)), _font(16)
    rows, height, width = -(-len(images) // columns), side + 2 * _LINE + _GAP, side + 2 * _GAP
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for k, (image, (predicted, true)) in enumerate(zip(images, captions, strict=True)):
        x, y = k % columns * width, k // columns * height
        sheet.paste(Image.fromarray(enlarge(image, side)), (x + _GAP, y))
        if true:
            lines = ((f"\N{BALLOT X} {predicted}", "#b3202c"), (true, "#1c1c1c"))
        else:
            lines = ((f"\N{CHECK MARK} {predicted}", "#1a6b30"),)
        for i, (text, colour) in enumerate(lines):
            pen.text((x + _GAP, y + side + i * _LINE), _cut(printable(text), font, side), fill=colour, font=font)
    return np.asarray(sheet)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Returns matplotlib's DejaVu Sans, which has the letters of most alphabets, of a size in pixels."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Returns a text, shortened in its middle if it is wider than `width` pixels: both of its ends say something."""
    if font.getlength(text) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        short = f"{text[: -(-keep // 2)]}\N{HORIZONTAL ELLIPSIS}{text[-(keep // 2) :]}"
        if font.getlength(short) <= width:
            return short
    return text[:1]
