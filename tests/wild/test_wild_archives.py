"""Archives of any layout, .zip and .tar.*, read as streams within the same bounds."""

import shutil
import stat
import tarfile
import zipfile

import pytest
from painted import CLASSES, counts, folders, listing, load, seen, written

from foodjax.data.sources import archive
from foodjax.system.errors import UserError

EACH = {"train": dict.fromkeys(CLASSES, 6), "test": dict.fromkeys(CLASSES, 4)}
KINDS = ("zip", "tar", "gztar", "bztar", "xztar")


def pack(root, kind, above=""):
    """Packs a folder, perhaps as a folder of its own name; returns the archive's path."""
    base = root.parent / "packed"
    return shutil.make_archive(str(base), kind, root.parent if above else root, root.name if above else ".")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("above", ["", "own"])
def test_parts_and_classes_in_an_archive(tmp_path, kind, above):
    path = pack(folders(tmp_path / "own"), kind, above)
    data = load(path, tmp_path / "cache")
    assert seen(data.train) == written("train")
    assert seen(data.test) == written("test")
    assert data.train.ids[0] == "bars/0.png"
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_one_folder_of_classes_three_parts_and_labels_in_an_archive(tmp_path, kind):
    one = pack(folders(tmp_path / "one", {".": "all"}, counts={"all": 20}), kind)
    assert counts(listing(one))["train"].keys() == set(CLASSES)
    assert len(listing(one).test) == 12
    assert counts(listing(one, everything=True)) == {"test": dict.fromkeys(CLASSES, 20)}
    three = pack(folders(tmp_path / "three", {"train": "train", "val": "validation", "test": "test"}), kind)
    assert counts(listing(three))["validation"] == dict.fromkeys(CLASSES, 5)
    flat = tmp_path / "flat"
    folders(flat, {"images": "all"}, ("x",), {"all": 4})
    (flat / "t.csv").write_text("file,label\n" + "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(4)))
    assert counts(listing(pack(flat, kind), labels="t.csv", everything=True)) == {"test": {"a": 2, "b": 2}}


def test_junk_in_an_archive(tmp_path):
    path = pack(folders(tmp_path / "own"), "zip", "own")
    with zipfile.ZipFile(path, "a") as file:
        for name in ("__MACOSX/own/train/bars/._0.png", "own/train/.DS_Store", "own/.hidden/1.png"):
            file.writestr(name, b"junk")
    found = listing(path)
    assert counts(found) == EACH
    assert not found.unused


def test_names_with_backslashes(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for name in ("bars", "ring"):
            for k in range(3):
                file.writestr("own\\" + name + f"\\{k}.png", b"x")
    assert listing(tmp_path / "x.zip").class_names == ("bars", "ring")


def zip_of(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize("members,message", [
    ([("../outside.png", b"x")], "points outside the archive: refused"),
    ([("a/../../outside.png", b"x")], "points outside the archive: refused"),
    ([("/etc/x.png", b"x")], "points outside the archive: refused"),
    ([("a\\..\\..\\x.png", b"x")], "points outside the archive: refused"),
    ([(link("bars/0.png"), b"/etc/passwd")], "is a link or a device: refused"),
    ([("a/" * 70 + "0.png", b"x")], "lie more than 64 deep"),
])  # fmt: skip
def test_a_zip_that_means_harm_is_refused(tmp_path, members, message):
    with pytest.raises(UserError, match=message):
        listing(zip_of(tmp_path / "x.zip", members))
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_zip_that_expands_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 2**20)
    path = zip_of(tmp_path / "x.zip", [(f"a/{k}.png", bytes(2**20)) for k in range(3)])
    with pytest.raises(UserError, match="expands to more than 20 times its size: refused"):
        listing(path)
    path = zip_of(tmp_path / "y.zip", [("a/0.png", bytes(2**20 + 1))])
    with pytest.raises(UserError, match=r"'a/0.png' has 1,048,577 bytes: refused"):
        listing(path)


def test_a_zip_whose_sizes_lie_is_read_no_further_than_they_say(tmp_path):
    path = zip_of(tmp_path / "x.zip", [(f"{name}/{k}.png", bytes(50_000)) for name in "ab" for k in range(3)])
    content = path.read_bytes()
    size = (50_000).to_bytes(4, "little")
    assert content.count(size) == 12
    path.write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(UserError, match="not a whole tar archive or zip file"):
        load(path, tmp_path)


def test_an_encrypted_or_damaged_archive_is_one_line(tmp_path):
    path = zip_of(tmp_path / "x.zip", [("a/0.png", b"x"), ("b/0.png", b"x")])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is encrypted: refused"):
        listing(path)
    own = pack(folders(tmp_path / "own"), "zip")
    with open(own, "r+b") as file:
        file.truncate(2000)
    with pytest.raises(UserError, match="not a whole tar archive or zip file"):
        listing(own)


def test_an_archive_without_rights_is_one_line(tmp_path, monkeypatch):
    path = pack(folders(tmp_path / "own"), "tar")

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(archive.tarfile, "open", refuse)
    with pytest.raises(UserError, match=r"cannot read .*packed.tar \(Permission denied\): needs the right"):
        listing(path)


def test_a_tar_with_a_link_is_refused_in_any_layout(tmp_path):
    path = pack(folders(tmp_path / "own"), "tar")
    with tarfile.open(path, "a") as file:
        info = tarfile.TarInfo("train/bars/link.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(UserError, match="is a link or a device: refused"):
        listing(path)


@pytest.mark.parametrize(
    "start,kind", [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR"), (b"(\xb5/\xfd", "Zstandard")]
)
def test_an_archive_of_another_kind_is_named(tmp_path, start, kind):
    (tmp_path / "photos.bin").write_bytes(start + b"0" * 600)
    with pytest.raises(UserError, match=f"photos.bin is a {kind} archive, which is not read: needs .zip or .tar"):
        listing(tmp_path / "photos.bin")
