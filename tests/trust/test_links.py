"""Links in a workdir that somebody else made: nothing outside it is written."""

import os
import shutil

import pytest

import foodjax
from foodjax.report.inspect import inspect_workdir
from foodjax.system import files
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description


@pytest.fixture
def outside(tmp_path):
    """Returns a file and a folder that belong to nobody's run."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("precious")
    return folder


def _same(outside):
    return [p.name for p in outside.iterdir()] == ["precious"] and (outside / "precious").read_text() == "precious"


@pytest.mark.parametrize("name", [
    ".report.html.tmp", "report.html", ".lock", "metrics.jsonl", "evaluation/.predictions.csv.tmp",
    "evaluation/classes.csv", "inspect/.samples.png.tmp", ".calibration.json.tmp",
])  # fmt: skip
@pytest.mark.parametrize("verb", ["evaluate", "train", "inspect"])
def test_a_link_to_a_file_outside_is_refused(tmp_path, workdir, outside, name, verb):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    if verb == "train":  # of a finished run it writes nothing
        (run / "finished.json").unlink()
    link = run / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(outside / "precious")
    before = {p: p.lstat().st_mtime_ns for p in run.rglob("*")}
    with pytest.raises(
        UserError, match=f"{name} is a link to .*precious, which is not in .*: nothing is written there"
    ):
        _run(verb, run)
    assert _same(outside)
    assert {p: p.lstat().st_mtime_ns for p in run.rglob("*")} == before


@pytest.mark.parametrize(
    "name", ["evaluation", "checkpoints", "tensorboard", "wandb", "damaged", "inspect", "evaluation-other"]
)
def test_a_link_to_a_folder_outside_is_refused(tmp_path, workdir, outside, name):
    run = tmp_path / "run"
    shutil.copytree(workdir, run)
    if (run / name).exists():
        (run / name).rename(tmp_path / "moved")
    (run / name).symlink_to(outside)
    with pytest.raises(UserError, match=f"{name} is a link to .*outside, which is not in"):
        _run("evaluate", run)
    assert _same(outside)


def test_the_workdir_itself_and_what_stays_in_it_may_be_links(tmp_path, workdir):
    scratch = tmp_path / "scratch"
    shutil.copytree(workdir, scratch)
    (tmp_path / "run").symlink_to(scratch)
    (scratch / "kept").symlink_to("metrics.jsonl")
    files.refuse_links(tmp_path / "run")
    _run("evaluate", tmp_path / "run")


def _run(verb, run):
    config = read_description(run)[0]
    {
        "evaluate": lambda: foodjax.evaluate(run),
        "train": lambda: foodjax.train(config, run),
        "inspect": lambda: inspect_workdir(config, run),
    }[verb]()


def test_a_write_replaces_a_link_and_follows_none(tmp_path, outside):
    """What a link was put for after the check: the file itself is written."""
    for name in ("a", ".a.tmp"):
        (tmp_path / name).symlink_to(outside / "precious")
    files.write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert not (tmp_path / "a").is_symlink()
    (tmp_path / "log").symlink_to(outside / "precious")
    with pytest.raises(OSError):
        files.append_text(tmp_path / "log", "line")
    assert _same(outside)


def test_a_hard_link_to_a_file_outside_is_not_written_through(tmp_path, outside):
    os.link(outside / "precious", tmp_path / "a")
    files.write_bytes(tmp_path / "a", b"new")
    assert _same(outside)


def test_a_comparison_beside_strangers_runs_does_not_follow_a_link(tmp_path, workdir, outside):
    shutil.copytree(workdir, tmp_path / "runs" / "a")
    (tmp_path / "runs" / "comparison").symlink_to(outside)
    with pytest.raises(UserError, match="comparison is a link to .*outside: nothing is written there: needs --output"):
        foodjax.compare(f"{tmp_path}/runs/a")
    assert _same(outside)
    foodjax.compare(f"{tmp_path}/runs/a", output=tmp_path / "mine")
    assert (tmp_path / "mine" / "comparison.html").exists()
