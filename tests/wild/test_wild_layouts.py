"""Layouts of folders as people have them: which pictures are in which part, as their pixels say."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest
from painted import CLASSES, colour, counts, folders, listing, load, paint, seen, written

from foodjax.data.sources import tree
from foodjax.system.errors import UserError

EACH = {"train": dict.fromkeys(CLASSES, 6), "test": dict.fromkeys(CLASSES, 4)}


def test_a_test_photograph_with_the_name_of_one_in_train_is_read_from_test(tmp_path):
    data = load(folders(tmp_path / "own"), tmp_path)  # 0.png is in both parts of each class
    assert data.train.ids[:2] == ["bars/0.png", "bars/1.png"] == data.test.ids[:2]
    assert seen(data.train) == written("train")
    assert seen(data.test) == written("test")


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "Val", "VALIDATION"])
def test_a_validation_part_validates_and_test_is_held_out_of_train(tmp_path, capsys, name):
    root = folders(tmp_path / "own", {"train": "train", name: "validation"}, counts={"train": 10, "validation": 3})
    data = load(root, tmp_path)
    assert seen(data.validation, data.parts.validation) == written("validation", counts={"validation": 3})
    assert seen(data.train) | seen(data.test) == written("train", counts={"train": 10})
    assert not seen(data.train) & seen(data.test)
    assert len(data.parts.train) == len(data.train.ids)
    assert {name for name, _ in seen(data.test)} == set(CLASSES)
    out = capsys.readouterr().out
    assert "of 30 photographs are held out to test on, by their names (data.test_fraction=0.2)" in out
    assert "has a validation part: 9 photographs" in out


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "dev", "Testing"), ("TRAIN", "Val", "TEST")])
def test_three_parts_are_used_as_they_are_named(tmp_path, names):
    root = folders(tmp_path / "own", dict(zip(names, ("train", "validation", "test"), strict=True)))
    data = load(root, tmp_path)
    assert seen(data.train, data.parts.train) == written("train")
    assert seen(data.validation, data.parts.validation) == written("validation")
    assert seen(data.test, data.parts.test) == written("test")


def test_the_tutorials_protocol_takes_validation_from_test_even_so(tmp_path, capsys):
    root = folders(tmp_path / "own", {"train": "train", "val": "validation", "test": "test"})
    data = load(root, tmp_path, protocol="tutorial")
    assert seen(data.validation, data.parts.validation) < written("test")
    assert "own validation part is not used" in capsys.readouterr().out


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "testing"), ("seg_train", "seg_test"),
                                   ("train_images", "test_images"), ("my train set", "my test set")])  # fmt: skip
def test_other_names_of_train_and_test(tmp_path, names):
    found = listing(folders(tmp_path, dict(zip(names, ("train", "test"), strict=True))))
    assert counts(found) == EACH
    assert {e.location.split("/")[0] for e in found.test} == {names[1]}


@pytest.mark.parametrize("below", ["dataset", "archive/dataset", "a/b/c"])
def test_parts_one_to_three_levels_lower(tmp_path, below):
    folders(tmp_path / "own" / below)
    paint(tmp_path / "own" / below.split("/")[0] / "docs" / "figure.png", (1, 2, 3))
    found = listing(tmp_path / "own")
    assert counts(found) == EACH
    assert f"the data lies in {below!r}" in found.notes[-1]
    assert [(row.file.split("/")[-1], row.reason) for row in found.unused] == [
        ("figure.png", "lies in none of the parts")
    ]


@pytest.mark.parametrize("between", ["train/{}", "{}/images", "{}/{}"])
def test_a_folder_between_part_and_classes(tmp_path, between):
    for part in ("train", "test"):
        folders(tmp_path, {between.format(part, part) if between != "train/{}" else f"{part}/data": part})
    assert counts(listing(tmp_path)) == EACH


def test_a_folder_beside_the_parts_is_left_out_and_named(tmp_path):
    folders(tmp_path)
    paint(tmp_path / "images" / "readme.png", (1, 2, 3))
    found = listing(tmp_path)
    assert counts(found) == EACH
    assert found.unused == (("", "", "images/readme.png", "lies in none of the parts"),)


def test_a_copy_of_the_data_inside_the_data_is_not_taken_twice(tmp_path):
    folders(tmp_path)
    shutil.copytree(tmp_path, tmp_path.parent / "copy")
    shutil.move(tmp_path.parent / "copy", tmp_path / "copy")
    found = listing(tmp_path)
    assert counts(found) == EACH
    assert len(found.unused) == 30


def test_pictures_at_any_depth_below_a_class_are_its_pictures(tmp_path):
    folders(tmp_path / "own")
    for part in ("train", "test"):
        paint(tmp_path / "own" / part / "bars" / "more" / "2021" / "0.png", colour(part, "bars", 99))
    data = load(tmp_path / "own", tmp_path)
    assert "bars/more/2021/0.png" in data.train.ids
    assert seen(data.train) == written("train") | {("bars", colour("train", "bars", 99))}
    assert seen(data.test) == written("test") | {("bars", colour("test", "bars", 99))}


@pytest.mark.parametrize("inner", ["images", "{name}_photos", "images/jpg"])
def test_a_folder_of_pictures_inside_each_class(tmp_path, inner):
    for part, count in (("train", 6), ("test", 4)):
        for name in CLASSES:
            for k in range(count):
                paint(tmp_path / part / name / inner.format(name=name) / f"{k}.png", (1, 2, k))
    assert counts(listing(tmp_path)) == EACH


def test_numbered_folders_inside_each_class_are_no_classes(tmp_path):
    for name in CLASSES:
        for day in ("2021-03-01", "2021-03-02"):
            paint(tmp_path / name / day / "0.png", (1, 2, 3))
            paint(tmp_path / name / day / "1.png", (1, 2, 3))
    assert listing(tmp_path).class_names == CLASSES


def grouped(root):
    for part, number in (("train", 6), ("test", 4)):
        folders(root, {f"{part}/round": part}, ("ring",), {part: number})
        folders(root, {f"{part}/edgy": part}, ("bars", "cross"), {part: number})
    return root


def test_groups_of_classes_are_told_from_classes_by_an_option(tmp_path):
    grouped(tmp_path)
    message = r"'edgy', 'round' of .* needs data.class_level=1 if 'edgy' is a class, or data.class_level=2 if 'bars' is"
    with pytest.raises(UserError, match=message):
        listing(tmp_path)
    assert counts(listing(tmp_path, class_level=2)) == EACH
    assert counts(listing(tmp_path, class_level=1))["train"] == {"edgy": 12, "round": 6}
    assert "edgy/bars/0.png" in [e.id for e in listing(tmp_path, class_level=2).train]


def test_a_folder_of_classes_beside_other_pictures_may_be_a_class_itself(tmp_path):
    one_folder(tmp_path / "photos")
    paint(tmp_path / "docs" / "figure.png", (1, 2, 3))
    with pytest.raises(UserError, match="'photos' of .* needs data.class_level=1 if 'photos' is a class, or .*=2 if"):
        listing(tmp_path)
    assert listing(tmp_path, class_level=2).class_names == CLASSES
    shutil.move(tmp_path / "docs" / "figure.png", tmp_path / "figure.png")
    assert listing(tmp_path).class_names == CLASSES
    with pytest.raises(UserError, match="data.class_level is 3, but no folder so deep"):
        listing(tmp_path, class_level=3)


def test_parts_inside_each_class(tmp_path):
    for part, number in (("train", 6), ("test", 4)):
        for name in CLASSES:
            for k in range(number):
                paint(tmp_path / "own" / name / part / f"{k}.png", colour(part, name, k))
    data = load(tmp_path / "own", tmp_path)
    assert seen(data.train) == written("train")
    assert seen(data.test) == written("test")


@pytest.mark.parametrize("name", ["test", "train", "val"])
def test_a_folder_that_directly_holds_pictures_is_a_class_whatever_its_name(tmp_path, name):
    classes = ("bars", "ring", name)
    folders(tmp_path / "one", {".": "all"}, classes)
    found = listing(tmp_path / "one")
    assert found.class_names == tuple(sorted(classes))
    assert f"{name!r} directly holds pictures: taken as a class" in " ".join(found.notes)
    folders(tmp_path / "parts", classes=classes)
    assert counts(listing(tmp_path / "parts"))["test"] == dict.fromkeys(classes, 4)


def test_a_train_part_alone(tmp_path):
    found = listing(folders(tmp_path, {"train": "train"}, counts={"train": 20}))
    assert sum(counts(found)["train"].values()) + sum(counts(found)["test"].values()) == 60
    assert "held out to test on" in found.notes[0]


def test_a_train_part_beside_pictures_without_labels(tmp_path):
    folders(tmp_path, {"train": "train"}, counts={"train": 20})
    for k in range(7):
        paint(tmp_path / "test" / f"{k}.png", (1, 2, k))
    found = listing(tmp_path)
    assert not [e for e in found.test if e.location.startswith("test/")]
    assert len(found.unused) == 7


def test_tiny_imagenets_validation_part_without_classes_is_left_out(tmp_path):
    for name in CLASSES:
        for k in range(20):
            paint(tmp_path / "train" / name / "images" / f"{k}.JPEG", (1, 2, k), format="PNG")
    for k in range(7):
        paint(tmp_path / "val" / "images" / f"{k}.JPEG", (1, 2, k), format="PNG")
    found = listing(tmp_path)
    assert found.class_names == CLASSES
    assert {row.reason for row in found.unused} == {"lies in none of the parts"}
    assert len(found.unused) == 7


def test_two_parts_of_one_kind_are_refused(tmp_path):
    folders(tmp_path, {"train": "train", "val": "validation", "dev": "validation"})
    with pytest.raises(UserError, match="two validation parts, 'dev' and 'val': needs one"):
        listing(tmp_path)


def test_two_sets_in_one_folder_are_refused_with_the_folders_to_give(tmp_path):
    folders(tmp_path / "day")
    folders(tmp_path / "night")
    with pytest.raises(UserError, match="2 sets of photographs, such as 'day' and 'night'.* data.dir set to one"):
        listing(tmp_path)


# One folder of classes


def one_folder(root, number=20, classes=CLASSES):
    return folders(root, {".": "all"}, classes, {"all": number})


def test_one_folder_of_classes_is_split_by_a_rule_that_is_told(tmp_path, capsys):
    data = load(one_folder(tmp_path / "own"), tmp_path)
    assert seen(data.train) | seen(data.test) == written("all", counts={"all": 20})
    assert not seen(data.train) & seen(data.test)
    for name in CLASSES:
        assert 3 <= sum(found == name for found, _ in seen(data.test)) <= 5
    assert "has no parts: 12 of 60 photographs are held out to test on" in capsys.readouterr().out


def test_the_rule_is_the_same_every_time_and_in_every_place(tmp_path):
    ids = [e.id for e in listing(one_folder(tmp_path / "a")).test]
    assert ids == [e.id for e in listing(one_folder(tmp_path / "b")).test]
    assert ids == [
        *("bars/1.png", "bars/14.png", "bars/19.png", "bars/6.png"),
        *("cross/10.png", "cross/13.png", "cross/18.png", "cross/5.png"),
        *("ring/10.png", "ring/18.png", "ring/2.png", "ring/5.png"),
    ]


def test_photographs_that_are_added_leave_the_others_in_their_parts(tmp_path):
    before = listing(one_folder(tmp_path, 20))
    after = listing(one_folder(tmp_path, 26))
    assert {e.id for e in before.test} < {e.id for e in after.test}
    assert {e.id for e in before.train} < {e.id for e in after.train}


@pytest.mark.parametrize("fraction,low,high", [(0.1, 6, 14), (0.5, 45, 55)])
def test_the_share_of_each_class_is_data_test_fraction(tmp_path, fraction, low, high):
    found = counts(listing(one_folder(tmp_path, 100, ("bars", "ring")), test_fraction=fraction))
    assert all(low <= number <= high for number in found["test"].values())


def test_small_classes_have_photographs_in_both_parts(tmp_path):
    for number in (2, 3, 5):
        found = counts(listing(one_folder(tmp_path / str(number), number)))
        assert set(found["test"]) == set(found["train"]) == set(CLASSES)


def test_an_evaluation_of_other_photographs_takes_all_of_one_folder(tmp_path):
    one = listing(one_folder(tmp_path / "one"), everything=True)
    assert counts(one) == {"test": dict.fromkeys(CLASSES, 20)}
    assert "evaluated on all of it" in one.notes[0]
    two = listing(folders(tmp_path / "two", {"train": "train", "val": "validation"}), everything=True)
    assert {e.location.split("/")[0] for e in two.test} == {"val"}
    three = listing(folders(tmp_path / "three"), everything=True)
    assert counts(three) == {"test": EACH["test"]}


def test_one_folder_of_classes_lower_down(tmp_path):
    one_folder(tmp_path / "archive" / "photos")
    assert listing(tmp_path).class_names == CLASSES


# Food-101's layout


@pytest.mark.parametrize("suffix,with_suffix,mark,below", [
    (".jpeg", False, b"", "."), (".png", False, b"", "."), (".jpg", True, b"", "."),
    (".jpg", False, b"\xef\xbb\xbf", "."), (".jpg", False, b"", "food-101"),
])  # fmt: skip
def test_food_101s_layout_with_other_suffixes_marks_and_places(tmp_path, suffix, with_suffix, mark, below):
    root, lists = tmp_path / "own" / below, {"train": {}, "test": {}}
    for part, first, number in (("train", 0, 6), ("test", 10, 4)):
        for name in CLASSES:
            for k in range(number):
                rgb = colour(part, name, k)
                paint(root / "images" / name / f"{first + k}{suffix}", rgb, format="PNG")
                lists[part].setdefault(name, []).append(f"{name}/{first + k}{suffix if with_suffix else ''}")
    (root / "meta").mkdir()
    for part, table in lists.items():
        (root / "meta" / f"{part}.json").write_bytes(mark + json.dumps(table).encode())
    (root / "meta" / "classes.txt").write_bytes(mark + "\n".join(CLASSES).encode())
    data = load(tmp_path / "own", tmp_path)
    assert data.train.class_names == CLASSES
    assert seen(data.train) == written("train")
    assert seen(data.test) == written("test")
    assert data.test.ids[0] == lists["test"]["bars"][0]


# What is not a photograph


JUNK = ("._0.png", ".DS_Store", ".hidden/1.png", "__MACOSX/bars/._0.png", "__MACOSX/2.png", "@eaDir/0.png/thumb.png",
        "Thumbs.db", "desktop.ini", ".ipynb_checkpoints/0-checkpoint.png", "$RECYCLE.BIN/3.png")  # fmt: skip


@pytest.mark.parametrize("where", ["", "train", "train/bars"])
def test_junk_of_systems_and_notebooks_is_neither_a_class_nor_a_photograph(tmp_path, where):
    folders(tmp_path)
    for name in JUNK:
        path = tmp_path / where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"junk")
    found = listing(tmp_path)
    assert counts(found) == EACH
    assert not found.unused


def test_files_that_are_not_used_are_kept_with_part_class_and_reason(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("foodjax.data.formats.has_heif", lambda: False)
    folders(tmp_path / "own")
    own = tmp_path / "own"
    for name in (
        "train/bars/a.HEIC",
        "train/bars/b.heic",
        "test/ring/notes.txt",
        "train/cross/noname",
        "train/stray.png",
    ):
        (own / name).write_bytes(b"x")
    data = load(own, tmp_path)
    assert set(data.train.found.unused) == {
        ("train", "bars", "train/bars/a.HEIC", ".heic: needs the package pillow-heif"),
        ("train", "bars", "train/bars/b.heic", ".heic: needs the package pillow-heif"),
        ("test", "ring", "test/ring/notes.txt", ".txt: no suffix of a picture"),
        ("train", "cross", "train/cross/noname", "its name has no suffix of a picture"),
        ("train", "", "train/stray.png", "lies in no class folder"),
    }
    out = capsys.readouterr().out
    assert "5 files are not used:" in out
    assert "train, class 'bars': 2, .heic: needs the package pillow-heif; 'train/bars/a.HEIC'" in out
    load(own, tmp_path)  # from the cache
    assert "5 files are not used:" in capsys.readouterr().out


def test_ten_lines_at_most_say_what_is_not_used(tmp_path, capsys):
    names = tuple(f"c{k:02}" for k in range(13))
    folders(tmp_path / "own", classes=names)
    for name in names:
        (tmp_path / "own" / "train" / name / "x.txt").touch()
    load(tmp_path / "own", tmp_path)
    out = capsys.readouterr().out
    assert out.count("no suffix of a picture") == 10
    assert "13 files are not used" in out
    assert "and 3 more groups" in out


@pytest.mark.parametrize("suffix,kind", [(".jfif", "JPEG"), (".jpe", "JPEG"), (".jif", "JPEG"), (".ppm", "PPM"),
                                         (".PNG", "PNG"), (".Tiff", "TIFF"), (".webp", "WEBP"), (".avif", "AVIF"),
                                         (".jp2", "JPEG2000"), (".tga", "TGA"), (".dib", "DIB")])  # fmt: skip
def test_suffixes_of_pictures(tmp_path, suffix, kind):
    if kind == "AVIF":
        from PIL import features

        if not features.check("avif"):
            pytest.skip("this Pillow has no AVIF")
    folders(tmp_path / "own")
    grey = (128, 128, 128)
    paint(tmp_path / "own" / "train" / "bars" / f"more{suffix}", grey, format=kind)
    data = load(tmp_path / "own", tmp_path)
    row = data.train.ids.index(f"bars/more{suffix}")
    assert abs(int(data.train.images[row].mean()) - 128) <= 2


def test_a_heic_picture_is_read_where_pillow_heif_is_installed(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    from PIL import Image

    folders(tmp_path / "own")
    picture = pillow_heif.from_pillow(Image.new("RGB", (64, 64), (128, 128, 128)))
    picture.save(str(tmp_path / "own" / "train" / "bars" / "phone.HEIC"))
    data = load(tmp_path / "own", tmp_path)
    assert abs(int(data.train.images[data.train.ids.index("bars/phone.HEIC")].mean()) - 128) <= 2


def test_links_to_folders_and_files_are_followed(tmp_path):
    store = folders(tmp_path / "store")
    for part in ("train", "test"):
        (tmp_path / "own" / part).mkdir(parents=True)
        for name in CLASSES:
            (tmp_path / "own" / part / name).symlink_to(store / part / name)
    extra = paint(tmp_path / "extra.png", colour("train", "bars", 50))
    (store / "train" / "bars" / "50.png").symlink_to(extra)
    data = load(tmp_path / "own", tmp_path)
    assert seen(data.train) == written("train") | {("bars", colour("train", "bars", 50))}
    assert seen(data.test) == written("test")


def test_loops_of_links_end(tmp_path):
    folders(tmp_path)
    (tmp_path / "train" / "bars" / "up").symlink_to(tmp_path)
    (tmp_path / "train" / "ring" / "self").symlink_to("self")
    (tmp_path / "again").symlink_to(tmp_path / "train")
    found = listing(tmp_path)
    assert counts(found) == EACH
    loops = {row.file: row.reason for row in found.unused if row.part}
    assert loops["train/bars/up"] == "a link to a folder that it lies in"
    assert loops["train/ring/self"].startswith("cannot be read (")


def test_what_is_no_regular_file_is_named_and_never_opened(tmp_path):
    folders(tmp_path / "own")
    bars = tmp_path / "own" / "train" / "bars"
    os.mkfifo(bars / "pipe.png")
    (bars / "gone.png").symlink_to("/nowhere/x.png")
    (bars / "device.png").symlink_to("/dev/zero")
    (bars / "folder.png").mkdir()
    data = load(tmp_path / "own", tmp_path)
    assert seen(data.train) == written("train")
    assert {row.file.split("/")[-1]: row.reason for row in data.train.found.unused} == {
        "pipe.png": "a pipe, not a file",
        "gone.png": "a link to a file that is not there",
        "device.png": "a device, not a file",
        "folder.png": "an empty folder, not a picture",
    }


def without_rights(monkeypatch, place):
    """Makes a folder look as without the right to read it: tests may run as root."""
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith(place):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(tree, "os", SimpleNamespace(scandir=refusing, path=os.path, stat=os.stat, DirEntry=os.DirEntry))


@pytest.mark.parametrize("place", ["own", "own/train", "own/train/bars", "own/test/ring/deeper"])
def test_a_folder_without_rights_is_one_line(tmp_path, monkeypatch, place):
    folders(tmp_path / "own")
    (tmp_path / "own" / "test" / "ring" / "deeper").mkdir()
    without_rights(monkeypatch, place)
    with pytest.raises(UserError, match=rf"cannot read the folder .*{place} \(Permission denied\): needs the right"):
        listing(tmp_path / "own")


def test_a_folder_without_rights_beside_the_parts_does_not_matter(tmp_path, monkeypatch):
    folders(tmp_path / "own")
    (tmp_path / "own" / "private").mkdir()
    without_rights(monkeypatch, "own/private")
    assert counts(listing(tmp_path / "own")) == EACH


def test_a_file_that_cannot_be_read_now_stops_and_is_not_remembered(tmp_path, monkeypatch):
    import builtins

    folders(tmp_path / "own")
    real = builtins.open

    def failing(path, *args, **options):
        if str(path).endswith("train/bars/3.png"):
            raise OSError(5, "Input/output error", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr("foodjax.data.sources.folders.open", failing, raising=False)
    with pytest.raises(UserError, match=r"cannot read .*train/bars/3.png \(Input/output error\)"):
        load(tmp_path / "own", tmp_path, on_error="skip")
    monkeypatch.undo()
    assert seen(load(tmp_path / "own", tmp_path, on_error="skip").train) == written("train")


def test_the_tree_is_listed_once_and_no_file_is_looked_at_but_for_its_state(tmp_path, monkeypatch):
    folders(tmp_path / "own")
    scanned, looked = [], []
    scandir, stat = os.scandir, os.stat
    monkeypatch.setattr(os, "scandir", lambda path: (scanned.append(str(path)), scandir(path))[1])
    monkeypatch.setattr(os, "stat", lambda path, **more: (looked.append(str(path)), stat(path, **more))[1])
    load(tmp_path / "own", tmp_path)
    assert len([path for path in scanned if "/own" in path]) == 1 + 2 + 6
    pictures = [path for path in looked if path.endswith(".png")]
    assert len(pictures) == len(set(pictures)) == 30


# Nothing fits


@pytest.mark.parametrize("paths,message", [
    (["train/bars.0.png", "train/ring.1.png", "test/bars.2.png"], r"1 in 'test', 2 in 'train'.*data.labels=FILE.csv"),
    (["bars0.png", "ring1.png"], r"2 in 'itself'.*needs a folder for each class .*data.labels=FILE.csv"),
    (["bars0.png", "ring1.png", "mine.csv"], r"data.labels='mine.csv'"),
    (["only/0.png", "only/1.png"], r"2 in 'only'.*no folders of two or more classes"),
    (["a/notes.txt", "b.parquet"], r"holds no pictures \(1 .parquet, 1 .txt\): needs a folder for each class"),
    (["photos.zip"], r"holds no pictures, but 1 archives, the first 'photos.zip': needs data.dir set to one"),
    ([], r"holds no pictures \(it is empty\)"),
])  # fmt: skip
def test_the_line_says_what_was_found_and_what_would_do(tmp_path, paths, message):
    for name in paths:
        paint(tmp_path / name, (1, 2, 3)) if name.endswith("png") else (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=message):
        listing(tmp_path)


def test_a_class_of_files_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("foodjax.data.formats.has_heif", lambda: False)
    folders(tmp_path)
    (tmp_path / "train" / "waffles").mkdir()
    (tmp_path / "train" / "waffles" / "1.heic").touch()
    with pytest.raises(UserError, match="train/waffles has no images that can be read .*needs the package pillow-heif"):
        listing(tmp_path)


@pytest.mark.parametrize("name,message", [
    ("x.csv", "is a table: needs data.labels="), ("x.jpg", "is one picture: needs food-101.tar.gz, a folder"),
    ("nowhere", "does not exist"), ("pipe", "is neither a folder nor a file"),
])  # fmt: skip
def test_a_data_dir_that_is_something_else(tmp_path, name, message):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x.csv").touch()
    (tmp_path / "x.jpg").touch()
    with pytest.raises(UserError, match=message):
        listing(tmp_path / name)


def test_names_of_any_bytes_are_found_and_prepared(tmp_path):
    folders(tmp_path / "own")
    for part in ("train", "test"):
        paint(tmp_path / "x.png", colour(part, "bars", 77))
        os.rename(tmp_path / "x.png", os.fsencode(tmp_path / "own" / part / "bars") + b"/caf\xe9.png")
    data = load(tmp_path / "own", tmp_path)
    assert seen(data.test) == written("test") | {("bars", colour("test", "bars", 77))}
    assert "bars/caf\udce9.png" in load(tmp_path / "own", tmp_path).test.ids


@pytest.mark.parametrize("place", ["runs/photos", "runs/a/b", "mine"])
def test_what_foodjax_wrote_among_the_photographs_is_no_class(tmp_path, place):
    """Who works in the folder of the photographs has its runs there, with curves.png and the PNGs of inspect."""
    folders(tmp_path, {".": "all"})
    before = listing(tmp_path)
    for name in ("config.json", "dataset.json", ".lock"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / name).write_text("{}")
    paint(tmp_path / place / "curves.png", (1, 2, 3))
    paint(tmp_path / place / "inspect" / "samples.png", (1, 2, 3))
    found = listing(tmp_path)
    assert found[:4] == before[:4]
    assert found.unused == before.unused
    assert found.notes == (*before.notes, f"{tmp_path}: left out {place!r}, written by foodjax")


def test_pages_without_a_run_are_no_class_either(tmp_path):
    folders(tmp_path, {".": "all"})
    before = listing(tmp_path)
    paint(tmp_path / "runs" / "photos" / "inspect" / "samples.png", (1, 2, 3))
    (tmp_path / "runs" / "photos" / "inspect" / "inspect.html").write_text("")
    paint(tmp_path / "lr" / "find_lr.png", (1, 2, 3))
    (tmp_path / "lr" / "find_lr.csv").write_text("")
    found = listing(tmp_path)
    assert found[:4] == before[:4]
    assert "left out 'lr' and 1 more folders" in found.notes[-1] or "left out 'runs" in found.notes[-1]
