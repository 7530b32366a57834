"""Which files are pictures, by the suffix of their names; which formats are decoded; and which files are junk.

Pillow reads more formats. Those that are left out run other programs (EPS, WMF), or hold no photographs.
"""

import functools
import importlib
import importlib.util
import io

from PIL import Image, features

# Format of Pillow -> suffixes of its files.
_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jif", ".jfif", ".mpo"),  # an .mpo begins with a JPEG
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "TGA": (".tga",),
    "PCX": (".pcx",),
    "SGI": (".sgi",),
    "QOI": (".qoi",),
}
_FEATURES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}  # of Pillow's build
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
HEIF_SUFFIXES = (".heic", ".heif", ".hif")


def _has(name: str) -> bool:
    return name not in _FEATURES or (_FEATURES[name] in features.get_supported())


# What this Pillow decodes.
FORMATS = tuple(name for name in _SUFFIXES if _has(name))
SUFFIXES = tuple(suffix for name in FORMATS for suffix in _SUFFIXES[name])
_MISSING = {suffix: name for name in _SUFFIXES if name not in FORMATS for suffix in _SUFFIXES[name]}
# Folders that systems, notebooks and storage devices make. Names that begin with a point are junk anyway.
_JUNK_FOLDERS = {
    "__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found",
    "__pycache__",
}  # fmt: skip
_JUNK_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"}


@functools.cache
def has_heif() -> bool:
    """Returns whether HEIC files can be decoded: by pillow-heif, which is an extra of this package."""
    return importlib.util.find_spec("pillow_heif") is not None


def open_heif(encoded: bytes, max_pixels: int) -> Image.Image | None:
    """Returns the picture of a HEIC file, which Pillow itself does not read; None if the bytes are of another format.

    Raises:
        ValueError: pillow-heif is not installed, or the picture is damaged or has more than max_pixels.
    """
    if encoded[4:8] != b"ftyp" or encoded[8:12] not in _HEIF_BRANDS or b"avif" in encoded[8:64]:
        return None
    if not has_heif():
        raise ValueError("HEIC: needs the package pillow-heif")
    try:
        found = importlib.import_module("pillow_heif").open_heif(io.BytesIO(encoded))
        width, height = found.size
        picture = found.to_pillow() if width * height <= max_pixels else None
    except Exception as error:  # libheif's errors have types of their own
        raise ValueError(f"a damaged HEIC ({error})") from None
    if picture is None:
        raise ValueError(f"{width} x {height} pixels, more than {max_pixels}")
    return picture


def suffix_of(name: str) -> str:
    """Returns the suffix of a file's name in lower case, ".jpg"; "" if it has none."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def is_picture(name: str) -> bool:
    """Returns whether the name is one of a picture, whether or not its format can be decoded here."""
    suffix = suffix_of(name)
    return suffix in SUFFIXES or suffix in HEIF_SUFFIXES or suffix in _MISSING


def why_unused(name: str) -> str:
    """Returns why a file of this name is not used as a picture; "" if it is."""
    suffix = suffix_of(name)
    if suffix in SUFFIXES:
        return ""
    if suffix in HEIF_SUFFIXES:
        return "" if has_heif() else f"{suffix}: needs the package pillow-heif"
    if suffix in _MISSING:
        return f"{suffix}: this Pillow decodes no {_MISSING[suffix]}"
    return f"{suffix}: no suffix of a picture" if suffix else "its name has no suffix of a picture"


def is_junk(name: str, *, is_folder: bool) -> bool:
    """Returns whether a file or folder is hidden, or made by a system, a notebook or a storage device."""
    return name.startswith(".") or name.lower() in (_JUNK_FOLDERS if is_folder else _JUNK_FILES)
