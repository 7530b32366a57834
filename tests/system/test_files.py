import os
from pathlib import Path

import pytest

from foodjax.system import files


class Place:
    """A path of another library."""

    def __fspath__(self):
        return "~/run"


@pytest.mark.parametrize(
    "place,path",
    [
        ("runs/x", "runs/x"),
        (Path("runs/x/"), "runs/x"),
        ("~/run", "/home/ada/run"),
        (Path("~/run"), "/home/ada/run"),
        (Place(), "/home/ada/run"),
        ("~", "/home/ada"),
        ("runs/~/x", "runs/~/x"),
        ("~$photo.jpg", "~$photo.jpg"),  # the name of a file, not of a user
    ],
)
def test_a_place_is_a_path_and_the_home_is_expanded(monkeypatch, place, path):
    monkeypatch.setenv("HOME", "/home/ada")
    assert files.to_path(place) == Path(path)


def test_what_is_no_place_is_a_type_error():
    with pytest.raises(TypeError, match="expected str, bytes or os.PathLike object, not int"):
        files.to_path(3)  # pyright: ignore[reportArgumentType]


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    files.write_text(tmp_path / "a", "before")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(tmp_path / "a", "after")
    assert (tmp_path / "a").read_text() == "before"
