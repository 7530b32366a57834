"""Names of any bytes as text: on terminals, in CSV files, in files of text."""

import csv
import io
import itertools
import os
import sys

import pytest
from rich.console import Console
from rich.table import Table

from foodjax.system import cells, console, files
from foodjax.system.text import cut, printable, shorten

LATIN = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize("name,shown", [
    ("crème brûlée", "crème brûlée"),
    ("日本\u3000語", "日本\u3000語"),
    ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner belongs to the word
    ("👩\u200d🍳", "👩\u200d🍳"),
    ("a\nb", r"a\nb"),
    ("a\x1b[31mb", r"a\x1b[31mb"),
    ("a\x9bb", r"a\u009bb"),
    ("a\u202egpj.exe", r"a\u202egpj.exe"),
    ("a\u2028b\ufeff", r"a\u2028b\ufeff"),
    ("a\U000e0001", r"a\U000e0001"),
    (LATIN, r"caf\xe9"),
    ("\ud800", r"\ud800"),
    ("[/x] [red]", "[/x] [red]"),
])  # fmt: skip
def test_a_name_is_shown_as_it_is_without_control_characters(name, shown):
    assert printable(name) == shown


def test_long_names_are_cut():
    assert shorten("a" * 40, 40) == "a" * 40
    assert shorten("a" * 100 + "z" * 100, 10) == "aaaaaa…zzz"
    assert cut("日" * 50, 10) == "日" * 3
    assert cut(LATIN, 4) == "caf"
    assert cut("bars", 80) == "bars"


def test_a_line_on_a_terminal_holds_no_control_characters(capsys):
    console.say(f"class {LATIN}\x1b[2J\n[/x]")
    console.fail("first  'a  b'\n  second\x1b")
    out, err = capsys.readouterr()
    assert out == "class caf\\xe9\\x1b[2J\\n[/x]\n"
    assert err == "error: first  'a  b' second\\x1b\n"


def test_a_terminal_that_lacks_the_characters_gets_escapes(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    console.say("crème 日本")
    assert console.cell("crème 日本").plain == r"crème \u65e5\u672c"
    stream.flush()
    assert stream.buffer.getvalue().decode("latin-1") == "crème \\u65e5\\u672c\n"


def test_a_table_of_rich_takes_no_markup_from_names():
    table = Table(box=None)
    table.add_column("class")
    for name in ("dog [small]", "[/x]", "[red]a\x1b[0m", LATIN):
        table.add_row(console.cell(name))
    shown = Console(file=io.StringIO(), width=80, highlight=False)
    shown.print(table)
    lines = [line.strip() for line in shown.file.getvalue().splitlines()]
    assert lines == ["class", "dog [small]", "[/x]", r"[red]a\x1b[0m", r"caf\xe9"]


@pytest.mark.parametrize("value,written", [
    ("bars/1.jpg", "bars/1.jpg"),
    ("=1+1", "'=1+1"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
    ("-2+3", "'-2+3"),
    ("\t=1", "'\t=1"),
    ("\r=1", "'\r=1"),
    ("'=1", "''=1"),
    ("'tis", "'tis"),
    ("-0.5", "-0.5"),
    ("+1e-5", "+1e-5"),
    ("-", "'-"),
    (LATIN, r"caf\xe9"),
    (r"caf\xe9", r"caf\x5cxe9"),
    ("a\\b", "a\\b"),
    ("\ud800", r"\ud800"),
    (-0.5, -0.5),
    (3, 3),
])  # fmt: skip
def test_a_cell_runs_nothing_and_is_read_back(value, written):
    assert cells.to_cell(value) == written
    if isinstance(value, str):
        written.encode()
        assert cells.from_cell(written) == value


def test_every_short_name_is_read_back():
    letters = ["\\", "x", "e9", "5c", "'", "=", "-", "1", "\udce9", "\ud800", "ud800", "\r", "\n", ","]
    names = ["".join(some) for n in range(4) for some in itertools.product(letters, repeat=n)]
    names.sort()
    for end in ("\r\n", "\n"):
        text = cells.to_csv(["name", "number"], [(name, -1) for name in names], end)
        rows = list(csv.reader(io.StringIO(text, newline="")))
        assert [cells.from_cell(row[0]) for row in rows[1:]] == names
        assert not any(row[0][:1] in ("=", "@", "\r", "\n") for row in rows[1:])


def test_a_table_is_read_back_from_a_file(tmp_path):
    rows = [(LATIN, "=x", 0.25), ('a,"b"\n', "b", -1)]
    files.write_text(tmp_path / "t.csv", cells.to_csv(["id", "true", "p"], rows))
    assert cells.read_csv(tmp_path / "t.csv") == [
        {"id": LATIN, "true": "=x", "p": "0.25"},
        {"id": "a,\"b\"\n", "true": "b", "p": "-1"},
    ]  # fmt: skip
    (tmp_path / "t.csv").write_bytes(b"id\ncaf\xe9\n")  # of an older version
    assert cells.read_csv(tmp_path / "t.csv") == [{"id": LATIN}]


def test_a_text_with_a_name_that_is_not_utf8_is_written(tmp_path):
    files.write_text(tmp_path / "a", LATIN)
    files.write_all(tmp_path, {"b": LATIN})
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == r"caf\udce9"
