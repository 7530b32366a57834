"""A string does where a path does, and `~` is the user's home: at every function that a notebook may call."""

import ast
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

from foodjax.config.check import to_config_dict
from foodjax.exchange import keras_model
from foodjax.models.weights import source
from foodjax.report import inspect, run_report
from foodjax.run import find_lr, loop, predict, wiring
from foodjax.run.evaluate import evaluate_workdir
from foodjax.serve import app
from foodjax.study import page, reproduce, results
from foodjax.system.errors import UserError
from foodjax.workdir import run_record
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.description import read_description
from foodjax.workdir.metrics import read_metrics

# With a bare Path, of the folders that notebooks use: foodjax alone calls these.
INNER = {
    "Instruments.__init__", "Loop.__init__", "Profiler.__init__", "check", "check_output", "choose_folder",
    "command_of", "create_trials", "evaluate_best", "find_duplicates_of", "load_for", "load_or_compute", "look",
    "of_predictions", "of_run", "open_data", "open_test_set", "read", "read_known", "read_scores", "read_trained",
    "validation_examples", "with_stored", "work", "write", "write_data",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(workdir, tmp_path_factory):
    """The user's home, with a finished run called run and a photograph."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(workdir, home / "run")
    Image.new("RGB", (20, 16), "red").save(home / "photo.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.chdir(home)
        yield home
        assert not (home / "~").exists()


@pytest.fixture
def config(home):
    return to_config_dict(read_description(home / "run")[0])


READS = {
    "Checkpoints": lambda place, _: Checkpoints(place).best_step(),
    "Guesser": lambda place, _: app.Guesser(place).predictor.step,
    "Predictor": lambda place, _: predict.Predictor(place).step,
    "differences": lambda place, _: reproduce.differences(place, place),
    "load_variables": lambda place, _: wiring.load_variables(place)[1],
    "open_workdir": lambda place, _: wiring.open_workdir(place).config,
    "read": lambda place, _: run_record.read(place)["result"],
    "read_description": lambda place, _: read_description(place),
    "read_metrics": lambda place, _: read_metrics(f"{place}/metrics.jsonl"),
    "read_run": lambda place, _: results.read_run(place),
    "result": lambda place, _: run_record.result(place),
    "train": lambda place, config: loop.train(config, place),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.slow
def test_what_reads_a_run_takes_its_place_as_text(home, config, name):
    expected = READS[name](home / "run", config)
    assert expected is not None
    assert READS[name](str(home / "run"), config) == expected
    assert READS[name]("~/run", config) == expected


@pytest.mark.slow
def test_what_writes_takes_a_place_as_text(home, config, monkeypatch, capsys):
    evaluated = evaluate_workdir(config, "~/run")
    assert evaluated.folder == home / "run" / "evaluation"
    assert run_report.write_report(evaluated, "run") == Path("run/report.html")  # relative, and still its own
    assert run_report.write_report(evaluated, "~/run") == home / "run" / "report.html"
    assert inspect.inspect_workdir(config, "~/new").page == home / "new" / "inspect" / "inspect.html"
    predict.predict_workdir("~/run", "~/photo.png", "~/top.csv")
    assert (home / "top.csv").read_text().startswith(f"path,rank,class,probability\n{home}/photo.png,1,")
    with pytest.raises(UserError, match=f"--output {home}/top.csv exists already"):
        predict.predict_workdir("~/run", "~/photo.png", "~/top.csv")

    rates = np.geomspace(1e-6, 1, 80).tolist()
    found = find_lr.RangeTest(rates, [1.0] * 80, [1.0] * 80, 1e-3)
    monkeypatch.setattr(find_lr, "range_test", lambda config: found)
    find_lr.find_lr(config, "~/lr")
    assert (home / "lr" / "find_lr.png").exists()
    find_lr.plot(found, "x", "~/lr.png")
    assert (home / "lr.png").exists()

    (row,) = page.write_comparison("~/ru*")
    assert (row.label, row.num_seeds) == ("run", 1)
    assert (home / "comparison" / "comparison.html").exists()
    page.write_comparison(["~/none", "~/run"], folder="~/compared")
    assert (home / "compared" / "table.csv").read_bytes() == (home / "comparison" / "table.csv").read_bytes()
    shutil.copytree(home / "run", home / "again")
    assert reproduce.reproduce(config, "~/run", "~/again")


@pytest.mark.parametrize(
    "pattern,folder",
    [("runs/a/*", "runs/a"), ("runs/*/x", "runs"), ("*", "."), ("a,b/*", "a,b"), (["x/a", "y/*"], "x")],
)
def test_a_comparison_is_beside_its_runs(pattern, folder):
    assert page._beside(pattern) == Path(folder) / "comparison"


def test_what_exchanges_models_takes_a_place_as_text(home, config):
    for call, says in (
        (lambda: keras_model.export_model(config, "~/run", "~/model.h5"), f"--output is {home}/model.h5"),
        (lambda: keras_model.export_model(config, "~/none", "~/model.keras"), f"workdir {home}/none holds no run"),
        (lambda: keras_model.import_model(config, "~/none.keras", "~/imported"), f"{home}/none.keras"),
        (lambda: keras_model.import_model(config, "~/none.keras", "~/run"), f"workdir {home}/run exists already"),
        (
            lambda: source.load("~/none.safetensors", "model.init_from"),
            "model.init_from=~/none.safetensors is not there",
        ),
    ):
        with pytest.raises(UserError) as error:
            call()
        assert says in str(error.value)


def test_a_new_function_takes_text_too():
    inner = set()
    for folder in ("run", "exchange", "report", "study", "serve"):
        for path in (ROOT / "foodjax" / folder).glob("*.py"):
            inner |= set(_with_paths(ast.parse(path.read_text()), ""))
    assert inner <= INNER


def _with_paths(node, prefix):
    """Yields the public functions of a module or class that have a parameter of the type Path."""
    for found in node.body:
        name = prefix + getattr(found, "name", "")
        if isinstance(found, ast.ClassDef):
            yield from _with_paths(found, f"{name}.")
        elif isinstance(found, ast.FunctionDef) and (not found.name.startswith("_") or found.name == "__init__"):
            arguments = found.args.args + found.args.kwonlyargs
            if any(a.annotation and ast.unparse(a.annotation).split(" ")[0] == "Path" for a in arguments):
                yield name
