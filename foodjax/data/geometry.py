"""How a photograph of any shape becomes a square."""

from PIL import Image

GROUND = (128, 128, 128)  # around a padded picture: the grey of augment.cutout
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def to_square(image: Image.Image, size: int, resize: str, geometry: str) -> Image.Image:
    """Resizes a picture to a square. A picture that is square already looks the same with every geometry.

    Args:
        image: RGB, of any shape.
        size: side of the result, pixels.
        resize: name of a filter, a key of FILTERS.
        geometry: "stretch": both sides to `size`; the aspect ratio is lost. "crop": the short side to `size`, and the
            middle of the long one. "pad": the long side to `size`, in the middle of a grey square.
    """
    width, height = image.size
    if geometry == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if geometry != "pad" or width == height:
        return _resize(image, (size, size), resize)
    longest = max(width, height)
    inner = max(1, round(width * size / longest)), max(1, round(height * size / longest))
    square = Image.new("RGB", (size, size), GROUND)
    square.paste(_resize(image, inner, resize), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    return square


def _resize(image: Image.Image, size: tuple[int, int], resize: str) -> Image.Image:
    return image if image.size == size else image.resize(size, FILTERS[resize])
