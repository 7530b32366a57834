"""Runs of older versions whose test photographs may have been others than they should."""

import csv
import os
from pathlib import Path

from foodjax.data.formats import is_picture
from foodjax.system.cells import read_csv
from foodjax.system.errors import UserError
from foodjax.system.files import to_path
from foodjax.workdir import run_record
from foodjax.workdir.description import read_description

_FIRST_RIGHT = 3  # version of the prepared cache
_LINE = (
    "the numbers that this run stored may be wrong: an older foodjax read test photographs from train where both parts "
    "had a file of that name; train it again to be sure"
)
_LINE_TFDS = (
    "the numbers that this run stored may be wrong: an older foodjax took the validation split of TFDS for test, and "
    "mixed up photographs with one id in two splits; train it again to be sure"
)


def distrust(workdir: Path) -> str:
    """Returns a line about a run that a wrong cache may have fed; "" for any other run.

    Wrong could be the caches of folders of classes and of TFDS sets other than food101, of the versions before 3.
    Sessions in run.json have had the version since then.
    """
    sessions = run_record.read(workdir)["sessions"]
    if all(session.get("cache_version", 0) >= _FIRST_RIGHT for session in sessions):
        return ""
    try:
        data = read_description(workdir)[0].data
    except UserError:
        return ""
    if data.dir:
        return _LINE if _was_of_class_folders(workdir, data.dir) else ""
    is_food = data.tfds_name.split(":")[0].split("/")[0] == "food101"  # no id is in two splits, validation is its test
    return _LINE_TFDS if data.source == "tfds" and not is_food else ""


def _was_of_class_folders(workdir: Path, place: str) -> bool:
    """Returns whether the photographs lay in train/<class>/ and test/<class>/.

    Their ids have suffixes; those of Food-101's layout and of its archive have none. A run without predictions is
    judged by its folder, if that is still there.
    """
    try:
        return is_picture(read_csv(workdir / "evaluation" / "predictions.csv")[0]["id"])
    except (OSError, IndexError, KeyError, csv.Error):
        path = to_path(place)
        return not (os.path.isfile(path) or any(os.path.isdir(os.path.join(path, x)) for x in ("meta", "images")))
