"""Tables of labels: which columns and which files they mean, and what is refused."""

import pytest
from painted import CLASSES, colour, counts, folders, listing, load, paint, seen, written

from foodjax.system.errors import UserError

EACH = {"train": dict.fromkeys(CLASSES, 6), "test": dict.fromkeys(CLASSES, 4)}


def photos(root, name="images/{part}-{cls}{k}.png"):
    """Writes pictures in one folder; returns (file, label, part) of each, the file as it is below root."""
    rows = []
    for part, number in (("train", 6), ("test", 4)):
        for cls in CLASSES:
            for k in range(number):
                file = name.format(part=part, cls=cls[0], k=k)
                paint(root / file, colour(part, cls, k))
                rows.append((file, cls, part))
    return rows


def table(path, rows, head="file,label,split", cells=lambda file, label, part: (file, label, part), sep=","):
    path.write_text("\n".join([head, *(sep.join(cells(*row)) for row in rows)]) + "\n")
    return str(path)


def base(file):
    return file.rsplit("/", 1)[-1]


def stem(file):
    return base(file).rsplit(".", 1)[0]


@pytest.mark.parametrize("head,cells,sep", [
    ("file,label,split", lambda f, c, p: (f, c, p), ","),
    ("filename,class,set", lambda f, c, p: (base(f), c, p), ","),
    ("label,image_id,subset", lambda f, c, p: (c, stem(f), p.upper()), ","),
    ("id;breed;partition", lambda f, c, p: (stem(f), c, {"train": "training", "test": "Testing"}[p]), ";"),
    ("\ufeffImage Path\tCategory\tSplit", lambda f, c, p: ("./" + f.replace("/", "\\"), f" {c} ", p), "\t"),
    (",path,target,split", lambda f, c, p: ("7", "/home/me/set/" + f, c, p), ","),
    ("file,flower,split", lambda f, c, p: (f, c, p), ","),
    ("img,label,label_name,split", lambda f, c, p: (f, c, "x", p), ","),
])  # fmt: skip
def test_columns_and_files_under_their_usual_names(tmp_path, head, cells, sep):
    rows = photos(tmp_path / "own")
    table(tmp_path / "own" / "labels.csv", rows, head, cells, sep)
    data = load(tmp_path / "own", tmp_path, labels="labels.csv")
    assert seen(data.train) == written("train")
    assert seen(data.test) == written("test")
    assert data.test.ids[0] == "images/test-b0.png"


def test_a_table_without_a_line_of_names(tmp_path):
    rows = photos(tmp_path)
    (tmp_path / "labels.csv").write_text("\n".join(",".join(row) for row in rows))
    assert counts(listing(tmp_path, labels="labels.csv")) == EACH


def test_utf_16_as_spreadsheets_write_it(tmp_path):
    rows = photos(tmp_path)
    (tmp_path / "t.csv").write_bytes("\n".join(["file\tlabel\tsplit", *("\t".join(r) for r in rows)]).encode("utf-16"))
    assert counts(listing(tmp_path, labels="t.csv")) == EACH


def test_without_a_split_test_is_held_out_by_the_rule(tmp_path):
    table(tmp_path / "t.csv", photos(tmp_path), "file,label", lambda f, c, p: (f, c))
    found = listing(tmp_path, labels="t.csv")
    assert {part: set(found) for part, found in counts(found).items()} == {"train": set(CLASSES), "test": set(CLASSES)}
    assert len(found.train) + len(found.test) == 30
    everything = listing(tmp_path, labels="t.csv", everything=True)
    assert len(everything.test) == 30


def test_three_splits(tmp_path):
    rows = [(f, c, "valid" if "0" in f and p == "train" else p) for f, c, p in photos(tmp_path)]
    table(tmp_path / "t.csv", rows)
    assert counts(listing(tmp_path, labels="t.csv"))["validation"] == dict.fromkeys(CLASSES, 1)


def test_kaggles_train_csv_means_the_folder_train(tmp_path):
    rows = photos(tmp_path, "train/{part}{cls}{k}.png")
    for file, _, _ in rows:
        paint(tmp_path / "test" / base(file), (9, 9, 9))  # without labels, under the same names
    table(tmp_path / "train.csv", rows, "id,label", lambda f, c, p: (stem(f), c))
    found = listing(tmp_path, labels="train.csv")
    assert {e.location.split("/")[0] for e in found.train + found.test} == {"train"}
    assert {(row.file.split("/")[0], row.reason) for row in found.unused} == {("test", "not in train.csv")}


def test_a_split_decides_between_files_of_one_name(tmp_path):
    folders(tmp_path / "own", classes=("all",))
    names = ("even", "odd")
    rows = [f"{k}.png,{names[k % 2]},{part}" for part, n in (("train", 6), ("test", 4)) for k in range(n)]
    (tmp_path / "own" / "t.csv").write_text("\n".join(["file,label,split", *rows]))
    data = load(tmp_path / "own", tmp_path, labels="t.csv")
    assert seen(data.test) == {(names[k % 2], colour("test", "all", k)) for k in range(4)}


def test_the_table_may_lie_elsewhere_and_name_the_folder_by_itself(tmp_path, monkeypatch):
    rows = photos(tmp_path / "own")
    path = table(tmp_path / "elsewhere.csv", rows)
    assert counts(listing(tmp_path / "own", labels=path)) == EACH
    table(tmp_path / "own" / "t.csv", rows)
    monkeypatch.chdir(tmp_path)
    from painted import config_of

    from foodjax.config.check import replace
    from foodjax.data.sources.find import create_source

    config = replace(config_of("", tmp_path), {"data.labels": "own/t.csv"})
    assert counts(create_source(config).listing()) == EACH


def test_what_a_table_does_not_use_is_named(tmp_path):
    rows = photos(tmp_path)
    paint(tmp_path / "images" / "more.png", (1, 2, 3))
    rows += [("images/gone.png", "ring", "train"), ("images/train-b0.png", "bars", "train")]
    (tmp_path / "images" / "x.txt").touch()
    path = table(tmp_path / "t.csv", rows)
    with open(path, "a") as file:
        file.write("images/empty.png,,train\nimages/x.txt,ring,train\n\n")
    paint(tmp_path / "images" / "empty.png", (1, 2, 3))
    found = listing(tmp_path, labels="t.csv")
    assert counts(found) == EACH  # a line that stands twice counts once
    assert {row.file: row.reason for row in found.unused} == {
        "images/gone.png": "named in t.csv, but not there",
        "images/empty.png": "has no label in t.csv",
        "images/more.png": "not in t.csv",
        "images/x.txt": "named in t.csv, but not there",
    }


@pytest.mark.parametrize("text,message", [
    ("", "t.csv is empty: needs the columns file,label"),
    ("a,b,c,d\n1,2,3,4\n", "has the columns 'a', 'b', 'c', 'd': needs one named 'file'"),
    ("file,p,q\n1.png,2,3\n", "needs one named 'label'"),
    ("file,label\nnothing.png,a\n", "names no picture that can be used in .*'nothing.png': named in t.csv, but"),
    ("file,label\nimages/train-b0.png,a\nimages/train-b0.png,b\n", "is 'a' and, in row 3, 'b': needs one"),
    ("file,label,split\nimages/train-b0.png,a,train\nimages/train-b0.png,a,test\n", "of train and, in row 3, 'a' of"),
    ("file,label,split\nimages/train-b0.png,a,later\n", "row 2 has the part 'later': needs train, validation or test"),
    ("file,label\nimages/train-b0.png\n", "row 2 has 1 cells"),
    ("file,label\ntwice.png,a\n", "row 2 names 'twice.png', which may be 'images/a/twice.png' or 'images/b/twice.png'"),
    ("file,label\n../../outside.png,a\n", "names no picture that can be used"),
])  # fmt: skip
def test_a_table_that_cannot_be_used_is_one_line(tmp_path, text, message):
    photos(tmp_path / "own")
    paint(tmp_path / "outside.png", (1, 2, 3))
    for folder in ("a", "b"):
        paint(tmp_path / "own" / "images" / folder / "twice.png", (1, 2, 3))
    (tmp_path / "own" / "t.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        listing(tmp_path / "own", labels="t.csv")


def test_a_table_that_is_not_there(tmp_path):
    photos(tmp_path)
    with pytest.raises(UserError, match="data.labels=none.csv is no file, neither in .* nor here"):
        listing(tmp_path, labels="none.csv")


def test_a_missing_file_is_not_another_one_of_its_name(tmp_path):
    """ring/1.png is gone; bars/1.png has the same last name, and is a picture of bars."""
    for cls, numbers in (("bars", (0, 1, 2)), ("ring", (0, 2, 3))):
        for k in numbers:
            paint(tmp_path / cls / f"{k}.png", colour("train", cls, k))
    rows = [(f"bars/{k}.png", "bars", "train") for k in (0, 2)] + [(f"ring/{k}.png", "ring", "train") for k in (0, 1)]
    table(tmp_path / "labels.csv", rows)
    found = listing(tmp_path, labels="labels.csv")
    assert sorted(e.file for e in (*found.train, *found.test)) == ["bars/0.png", "bars/2.png", "ring/0.png"]
    assert [(u.file, u.reason) for u in found.unused if "not there" in u.reason] == [
        ("ring/1.png", "named in labels.csv, but not there")
    ]
    assert ("bars/1.png", "not in labels.csv") in [(u.file, u.reason) for u in found.unused]


def test_folders_of_another_machine_are_told(tmp_path):
    rows = photos(tmp_path)
    table(tmp_path / "labels.csv", rows, cells=lambda file, label, part: ("../input/theirs/" + base(file), label, part))
    found = listing(tmp_path, labels="labels.csv")
    assert counts(found) == EACH
    assert any("found by their last names" in note for note in found.notes)
