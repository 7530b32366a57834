"""Damaged and strange runs among those that are compared: a line each, and the others are compared."""

import json
import os
import shutil

import pytest

import foodjax


def _json(path, change):
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def _rows(path, change):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


DAMAGE = {
    "an empty result": lambda run: _json(run / "run.json", lambda r: r.update(result={})),
    "a result that is a list": lambda run: _json(run / "run.json", lambda r: r.update(result=[1, 2])),
    "a text for a number": lambda run: _json(run / "run.json", lambda r: r["result"].update(test_accuracy="high")),
    "an endless number": lambda run: _json(run / "run.json", lambda r: r["result"].update(best_val_loss=10**400)),
    "no session": lambda run: _json(run / "run.json", lambda r: r.update(sessions=[])),
    "a session that is a number": lambda run: _json(run / "run.json", lambda r: r.update(sessions=[3])),
    "no digests": lambda run: _json(run / "run.json", lambda r: r["sessions"][-1].update(data={})),
    "a start that is no time": lambda run: _json(run / "run.json", lambda r: r["sessions"][0].update(started=[])),
    "a list for run.json": lambda run: (run / "run.json").write_text("[1, 2]"),
    "no metrics": lambda run: (run / "metrics.jsonl").write_text(""),
    "rows without val_loss": lambda run: _rows(run / "metrics.jsonl", lambda row: row.pop("val_loss")),
    "rows with a text": lambda run: _rows(run / "metrics.jsonl", lambda row: row.update(loss="low")),
    "no predictions": lambda run: (run / "evaluation" / "predictions.csv").unlink(),
    "predictions without columns": lambda run: (run / "evaluation" / "predictions.csv").write_text("a,b\n1,2\n"),
    "predictions without rows": lambda run: (run / "evaluation" / "predictions.csv").write_text("id,true,predicted\n"),
    "a config that is a number": lambda run: (run / "config.json").write_text("3"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_is_left_out_with_a_line(tmp_path, workdir, name, capsys):
    for run in ("good", "bad"):
        shutil.copytree(workdir, tmp_path / run)
    DAMAGE[name](tmp_path / "bad")
    rows = foodjax.compare(f"{tmp_path}/*", output=tmp_path / "page")
    assert [row.label for row in rows] == ["good"]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out:")]
    assert len(lines) == 1
    assert "bad" in lines[0]


def test_predictions_that_are_not_utf_8_are_compared(tmp_path, workdir):
    for run in ("good", "bad"):
        shutil.copytree(workdir, tmp_path / run)
    path = tmp_path / "bad" / "evaluation" / "predictions.csv"
    path.write_bytes(path.read_bytes().replace(b"ring", b"r\xefng"))
    assert len(foodjax.compare(f"{tmp_path}/*", output=tmp_path / "page")) == 2
    assert (tmp_path / "page" / "comparison.html").read_text()


SPECIAL = ["metrics.jsonl", "run.json", "config.json", "evaluation/predictions.csv"]


@pytest.mark.parametrize("name", SPECIAL)
def test_a_pipe_in_a_run_leaves_it_out(tmp_path, workdir, name, capsys):
    for run in ("good", "bad"):
        shutil.copytree(workdir, tmp_path / run)
    (tmp_path / "bad" / name).unlink()
    os.mkfifo(tmp_path / "bad" / name)
    rows = foodjax.compare(f"{tmp_path}/*", output=tmp_path / "page")
    assert [row.label for row in rows] == ["good"]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out:")]
    assert "bad" in line


def test_names_of_runs_are_no_code_anywhere(tmp_path, workdir, capsys):
    names = ("=1+1 \x1b[2J", "<img src=x onerror=alert(1)>", "$\\bad{y}$|")
    for name in names:
        shutil.copytree(workdir, tmp_path / "runs" / name)
        description = json.loads((tmp_path / "runs" / name / "config.json").read_text())
        (tmp_path / "runs" / name / "config.json").write_text(json.dumps(description | {"name": name}))
    foodjax.compare(f"{tmp_path}/runs/*", output=tmp_path / "page")
    shown = capsys.readouterr().out
    pages = [(tmp_path / "page" / f).read_text() for f in ("comparison.html", "table.csv", "table.md", "table.tex")]
    for text in (shown, pages[0], *pages[2:]):  # the CSV holds the exact name
        assert "\x1b" not in text
    assert "<img src=x" not in pages[0]
    assert not any(cell.startswith("=") for line in pages[1].splitlines() for cell in line.split(","))
    assert "\\bad" not in pages[3]
