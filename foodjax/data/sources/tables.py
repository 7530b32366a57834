"""Tables as people write them: cells between commas, semicolons, tabs or bars, in UTF-8 or UTF-16."""

import csv
import io
import re

from foodjax.data.formats import suffix_of

# Names of the column of files, in the order of preference; as `column_name` has them.
FILE_COLUMNS = (
    "file", "filename", "filepath", "path", "image", "imagename", "imagefile", "imagefilename", "imagepath", "imageid",
    "img", "imgname", "imgpath", "imgid", "photo", "photoid", "picture", "photograph", "name", "id",
)  # fmt: skip


def to_text(content: bytes) -> str:
    """Decodes a table; a byte that is not UTF-8 becomes a surrogate.

    Raises:
        UnicodeDecodeError: it begins as UTF-16 does and is none.
    """
    is_wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")  # "Unicode text" of spreadsheets
    return content.decode("utf-16") if is_wide else content.decode("utf-8-sig", "surrogateescape")


def delimiter_of(text: str) -> str:
    """Returns what separates the cells, as the first line has it."""
    return max(",;\t|", key=text.split("\n", 1)[0].count)


def to_rows(text: str) -> list[list[str]]:
    """Returns the cells of each row, the first one included.

    Raises:
        csv.Error: it is no table.
    """
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text)))


def column_name(cell: str) -> str:
    """Returns the name of a column in lower case, letters and digits alone."""
    return re.sub(r"[\W_]", "", cell.lower())


def end_of(path: str, count: int) -> str:
    """Returns the last `count` names of a path."""
    return "/".join(path.split("/")[-count:])


def without_suffix(path: str) -> str:
    """Returns a path without the suffix of a picture."""
    return path[: len(path) - len(suffix_of(path.rsplit("/", 1)[-1]))]
