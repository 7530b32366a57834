import io
import json
import tarfile

import pytest
from helpers import archive_of, prepared
from PIL import Image

from foodjax.data.decode import decode
from foodjax.data.sources import archive
from foodjax.data.sources.archive import Archive
from foodjax.data.sources.base import Example
from foodjax.system.errors import UserError

META = {"meta/train.json": b'{"a": ["a/0"], "b": ["b/0"]}', "meta/test.json": b'{"a": ["a/1"], "b": ["b/1"]}'}
FIRST = Example("a/0", "a", "food-101/images/a/0.jpg")


def pack(path, members, mode="w:gz"):
    """Packs META and (TarInfo or name, content) members."""
    with tarfile.open(path, mode) as tar:
        for member, content in [*((f"food-101/{name}", text) for name, text in META.items()), *members]:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isreg():
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_harmless_archive_is_read(tmp_path):
    found = Archive(pack(tmp_path / "f.tar.gz", [("food-101/images/a/0.jpg", b"picture")]))
    train = found.listing().train
    assert [(e.id, e.class_name) for e in train] == [("a/0", "a"), ("b/0", "b")]
    assert {e.id: content for e, content in found.read(train)} == {"a/0": b"picture", "b/0": b""}


@pytest.mark.parametrize(
    "member,words",
    [
        ("food-101/../../outside.txt", "points outside the archive: refused"),
        ("/etc/passwd", "points outside the archive: refused"),
        (special("food-101/images/a/0.jpg", tarfile.SYMTYPE, "/etc/passwd"), "is a link or a device: refused"),
        (special("food-101/images/a/0.jpg", tarfile.LNKTYPE, "../../x"), "is a link or a device: refused"),
        (special("food-101/images/a/0.jpg", tarfile.CHRTYPE), "is a link or a device: refused"),
        (special("food-101/images/a/0.jpg", tarfile.FIFOTYPE), "is a link or a device: refused"),
    ],
)
def test_a_member_that_means_harm_is_refused(tmp_path, member, words):
    path = pack(tmp_path / "f.tar.gz", [(member, b"x")])
    with pytest.raises(UserError, match=words):
        Archive(path).listing()
    with pytest.raises(UserError, match=words):
        list(Archive(path).read([FIRST]))
    assert [p.name for p in tmp_path.iterdir()] == ["f.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_member_that_is_too_large_is_refused_before_it_is_read(tmp_path, kind):
    header = special("food-101/images/a/0.jpg", kind)
    header.size = 2**40  # a terabyte that is not there
    (tmp_path / "f.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(UserError, match=r"has 1,099,511,627,776 bytes: refused"):
        Archive(tmp_path / "f.tar").listing()


def test_a_size_in_an_extended_header_is_bounded_too(tmp_path):
    header = tarfile.TarInfo("food-101/images/a/0.jpg")
    header.size = 2**40
    (tmp_path / "f.tar").write_bytes(header.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    with pytest.raises(UserError, match="expands to more than 20 times its size: refused"):
        Archive(tmp_path / "f.tar").listing()


def test_a_file_that_is_cut_off_in_its_middle_is_a_damaged_archive(tmp_path):
    path = pack(tmp_path / "f.tar", [("food-101/images/a/0.jpg", bytes(5000))], mode="w")
    whole = path.read_bytes()
    for name in (b"food-101/meta/train.json", b"food-101/images/a/0.jpg"):
        path.write_bytes(whole[: whole.index(name) + 520])
        for use in (lambda: Archive(path).listing(), lambda: list(Archive(path).read([FIRST]))):
            with pytest.raises(UserError, match="f.tar is not a whole tar archive"):
                use()


def test_names_of_names_without_end_are_refused(tmp_path):
    long_name = special("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    long_name.size = 5
    header = long_name.tobuf(tarfile.GNU_FORMAT) + b"name".ljust(512, b"\0")
    (tmp_path / "f.tar").write_bytes(header * 3000)  # tarfile calls itself for each
    with pytest.raises(UserError, match="has headers of more than 262,144 bytes: refused"):
        Archive(tmp_path / "f.tar").listing()


def test_a_large_archive_may_not_hide_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 1000)
    header = tarfile.TarInfo("food-101/meta/train.json")
    header.pax_headers = {"size": "1001"}
    (tmp_path / "f.tar").write_bytes(header.tobuf(tarfile.PAX_FORMAT) + bytes(10_000))
    with pytest.raises(UserError, match=r"'food-101/meta/train.json' has 1,001 bytes: refused"):
        Archive(tmp_path / "f.tar").listing()


def test_an_archive_that_expands_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 2**20)
    path = pack(tmp_path / "f.tar.gz", [(f"food-101/images/a/{k}.jpg", bytes(2**20)) for k in range(8)])
    assert path.stat().st_size < 20_000
    with pytest.raises(UserError, match="expands to more than 20 times its size: refused"):
        Archive(path).listing()


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(monkeypatch):
    buffer = io.BytesIO()
    Image.new("1", (20_000, 6_000)).save(buffer, "PNG")
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(ValueError, match="20000 x 6000 pixels, more than 100000000"):
        decode(buffer.getvalue(), 8, "nearest")


def test_a_picture_that_would_start_a_program_is_refused(monkeypatch):
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", None)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "EPS")
    with pytest.raises(ValueError, match="not a picture of a known kind"):
        decode(buffer.getvalue(), 8, "nearest")


def test_meta_files_are_bounded_text(tmp_path):
    deep = b"[" * 100_000
    path = pack(tmp_path / "f.tar.gz", [("food-101/meta/train.json", deep)])
    with pytest.raises(UserError, match="not a list of Food-101"):
        Archive(path).listing()
    assert json.loads(META["meta/train.json"])


def test_a_truncated_archive_is_one_clear_error(food_config, food_root, tmp_path):
    path = archive_of(food_root, tmp_path / "food-101.tar.gz")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    food_config.data.dir = str(path)
    with pytest.raises(UserError, match="not a whole tar archive"):
        prepared(food_config)
    left = [p for p in (tmp_path / "cache").glob("*") if p.suffix != ".lock"]
    assert not left, "a failed preparation leaves nothing"
