import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import ROOT, run_main, start_main
from scipy import stats

from experiments import ablate_blocks, food10, food10_fast
from foodjax.config import check as config_lib
from foodjax.models import summary
from foodjax.models.convnet import create_model
from foodjax.study import page, results, space, sweep, tables
from foodjax.study.compare import Row, Spread, compare, paired_test
from foodjax.study.display import SweepDisplay
from foodjax.study.results import RunResult
from foodjax.system.errors import UserError

EXPERIMENT = """
from experiments import demo
from foodjax import variants
from foodjax.study.space import Sweep

def get_config(arg=""):
    config = demo.get_config()
    config.name = "tiny"
    config.data.update(drawn_train=12, drawn_test=5, image_size=16, batch_size=16, eval_batch_size=24)
    config.model.blocks = config.model.blocks[:2]
    for block in config.model.blocks:
        block.update(features=8, padding=("SAME",))
    config.model.head.hidden = (16,)
    config.train.epochs = {epochs}
    return variants.apply(config, arg)

def get_sweep(arg=""):
    return Sweep({variants}, seeds={seeds})
"""


def write_experiment(folder, variants, seeds=1, epochs=2):
    path = folder / "tiny.py"
    path.write_text(EXPERIMENT.format(variants=variants, seeds=seeds, epochs=epochs))
    return path


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """Processes keep prepared data and compiled programs in the test's folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_grid_has_every_combination_and_random_is_repeatable():
    points = ["lr=0.1,blocks=1", "lr=0.1,blocks=3", "lr=0.2,blocks=1", "lr=0.2,blocks=3"]
    assert space.grid(lr=[0.1, 0.2], blocks=[1, 3]) == points
    drawn = space.random(20, seed=3, lr=(1e-5, 1e-2), dropout=[0.0, 0.5])
    assert drawn == space.random(20, seed=3, lr=(1e-5, 1e-2), dropout=[0.0, 0.5])
    assert drawn != space.random(20, seed=4, lr=(1e-5, 1e-2), dropout=[0.0, 0.5])
    rates = [float(text.split(",")[0].removeprefix("lr=")) for text in drawn]
    assert all(1e-5 <= rate <= 1e-2 for rate in rates)
    assert len(set(rates)) == 20
    assert 3 < sum(rate < 10**-3.5 for rate in rates) < 17  # log-uniform: about half; uniform: 3 % of them
    assert {text.split(",")[1] for text in drawn} == {"dropout=0.0", "dropout=0.5"}


def test_random_variants_are_those_of_optuna_s_study_and_nothing_is_logged(capfd):
    assert space.random(3, seed=3, lr=(1e-5, 1e-2), rate=(1, 1), blocks=[4], dropout=[0.0, 0.5]) == [
        "lr=0.000449,rate=1.0,blocks=4,dropout=0.0",
        "lr=0.000341,rate=1.0,blocks=4,dropout=0.5",
        "lr=2.38e-05,rate=1.0,blocks=4,dropout=0.0",
    ]
    assert capfd.readouterr().err == ""


def test_the_trials_of_a_sweep(tmp_path):
    path = write_experiment(tmp_path, ["", "lr=0.5,blocks=1"], seeds=2)
    trials = space.create_trials(str(path), {"data.batch_size": 8}, tmp_path / "runs")
    assert [(t.label, t.seed, t.workdir.name) for t in trials] == [
        ("baseline", 0, "baseline-seed0"),
        ("lr=0.5-blocks=1", 0, "lr=0.5-blocks=1-seed0"),
        ("baseline", 1, "baseline-seed1"),
        ("lr=0.5-blocks=1", 1, "lr=0.5-blocks=1-seed1"),
    ]
    assert [t.config.seed for t in trials] == [0, 0, 1, 1]
    assert {t.config.data.batch_size for t in trials} == {8}
    assert trials[1].argument == f"{path}:lr=0.5,blocks=1,seed=0"
    assert len(trials[1].config.model.blocks) == 1


@pytest.mark.parametrize(
    "variants,message",
    [
        (["", "drop_blok=1"], "variant 'drop_blok=1' of the sweep: .*did you mean 'drop_block'"),
        (["", "lr=-1"], "variant 'lr=-1' of the sweep: optimizer.learning_rate is -1"),
        (["drop_block=2", "blocks=1"], "variants 'drop_block=2' and 'blocks=1' have the same config"),
        ("lr=1", "needs a list of variants"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_refused_before_it_starts(tmp_path, variants, message):
    path = write_experiment(tmp_path, repr(variants))
    with pytest.raises(UserError, match=message):
        space.create_trials(str(path), {}, tmp_path / "runs")


def test_an_experiment_without_a_sweep_is_refused():
    with pytest.raises(UserError, match=r"food10.py defines no get_sweep\(\)"):
        space.create_trials(str(ROOT / "experiments" / "food10.py"), {}, ROOT)


@pytest.mark.parametrize("scale,count,seeds", [("", 17, 3), ("scale=small", 10, 2)])
def test_the_shipped_ablation_has_everything_and_every_picture_survives(tmp_path, scale, count, seeds):
    path = f"{ROOT / 'experiments' / 'ablate_blocks.py'}:{scale}"
    trials = space.create_trials(path, {}, tmp_path)
    assert len(trials) == count * seeds
    for trial in trials[:count]:
        create_model(trial.config, 10)
    baseline = dict(config_lib.flatten(trials[0].config))
    changed = {}
    for trial in trials[1:count]:
        values = dict(config_lib.flatten(trial.config))
        changed[trial.label] = {key for key in values if values[key] != baseline.get(key)} - {"name"}
    assert changed["kernel=3"] == {"model.blocks[3].kernel"}
    assert changed["pool=avg"] == {"model.head.pooling"}
    if not scale:
        assert changed["lr=3e-05"] == {"optimizer.learning_rate"}
        assert changed["drop_augment=brightness"] == {"augment.brightness"}
    assert sum("drop_block" in label for label in changed) == 4
    assert ablate_blocks.get_config(scale).train.epochs == (10 if scale else 100)


def test_rungs_of_successive_halving():
    assert space.rungs(9, 27, 3) == [(3, 3), (9, 1)]
    assert space.rungs(8, 8, 2) == [(1, 4), (2, 2), (4, 1)]
    assert space.rungs(4, 100, 3) == [(33, 1)]
    assert space.rungs(9, 27, 0) == space.rungs(1, 10, 3) == space.rungs(9, 1, 3) == []


def test_multiply_adds_of_the_tutorial():
    config = ablate_blocks.get_config()
    rows = summary.layers(create_model(config_lib.checked(config), 10), 128)
    counts = {row.name: summary.multiply_adds(row) for row in rows}
    assert counts["block1/conv1"] == 128 * 128 * 32 * 27
    assert counts["block4/conv2"] == 10 * 10 * 512 * 25 * 512
    assert counts["dense1"] == 2048 * 1024
    assert counts["block1/dropout"] == 0


def test_one_seed_is_mcnemars_exact_test():
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(300) < 0.6, rng.random(300) < 0.5
    difference, (low, high), p = paired_test(ours.astype(float), theirs.astype(float))
    wins, losses = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    assert difference == pytest.approx((wins - losses) / 300)
    assert p == pytest.approx(stats.binomtest(wins, wins + losses).pvalue, abs=0.01)
    # The bootstrap of a mean is near its normal interval.
    half = 1.96 * np.std(ours.astype(float) - theirs) / math.sqrt(300)
    assert low == pytest.approx(difference - half, abs=0.01)
    assert high == pytest.approx(difference + half, abs=0.01)


def test_equal_predictions_differ_by_nothing():
    same = np.array([1.0, 0.5, 0.0])
    assert paired_test(same, same) == (0.0, (0.0, 0.0), 1.0)


def test_images_that_hang_together_are_not_counted_twice():
    """Two seeds that make the same mistakes are no more evidence than one."""
    rng = np.random.default_rng(2)
    ours, theirs = (rng.random(200) < 0.6).astype(float), (rng.random(200) < 0.52).astype(float)
    once = paired_test(ours, theirs)
    twice = paired_test(np.mean([ours, ours], axis=0), np.mean([theirs, theirs], axis=0))
    assert once == twice


def fake_run(label, seed, right, ids=None, pixels="p", device="cpu", tmp_path=ROOT, started="2026", **changes):
    config = ablate_blocks.get_config("scale=small")
    config.seed = seed
    for key, value in changes.items():
        config.update_from_flattened_dict({key.replace("__", "."): value})
    ids = ids or [f"a/{k}" for k in range(len(right))]
    part = {"images": 3, "ids": str(hash(tuple(ids))), "pixels": pixels}
    return RunResult(
        label, tmp_path / f"{label}-seed{seed}", started, config_lib.checked(config),
        [{"epoch": 1, "val_loss": 1.5}], [100.0, 120.0],
        {"epochs": 8, "best_val_loss": 1.5 - 0.1 * seed, "test_accuracy": float(np.mean(right)), "test_loss": 1.0},
        {"train": part, "validation": part, "test": part},
        {"code": {"a"}, "versions": {"1"}, "device": {device}},
        {i: ("a", "a" if ok else "b") for i, ok in zip(ids, right, strict=True)}, 1000, 2_000_000,
    )  # fmt: skip


@pytest.mark.parametrize("baseline,order", [("", "baeinr"), ("a", "abeinr"), ("r", "rbaein")])
def test_variants_stand_in_the_order_of_their_start(tmp_path, monkeypatch, baseline, order):
    started = {label: f"2026-11-2{k}T00:00:00+00:00" for k, label in enumerate("baeinr")}
    for label in started:
        for seed in (0, 1):
            (tmp_path / f"{label}-seed{seed}").mkdir()
            (tmp_path / f"{label}-seed{seed}" / "config.json").touch()

    def read_run(folder):
        label, seed = folder.name.split("-seed")
        # A seed that was made once more, later than everything else, does not move its variant.
        return fake_run(label, int(seed), [1], started=started[label] if seed == "0" else "2027")

    monkeypatch.setattr(results, "read_run", read_run)
    groups, _ = results.read_groups(f"{tmp_path}/*", baseline)
    assert "".join(group[0].label for group in groups) == order
    assert all(len(group) == 2 for group in groups)


def test_a_comparison_has_mean_deviation_and_paired_difference():
    base = [fake_run("baseline", k, [1, 1, 0, 0] * 20) for k in (0, 1)]
    better = [fake_run("better", 0, [1, 1, 1, 1] * 20), fake_run("better", 1, [1, 1, 1, 0] * 20)]
    first, second = compare([base, better])
    assert math.isnan(first.difference)
    assert first.accuracy == (0.5, 0.0)
    assert second.accuracy.mean == 0.875
    assert second.accuracy.deviation == pytest.approx(0.125 * math.sqrt(2))
    assert second.difference == 0.375
    assert second.interval[0] > 0.25
    assert second.p < 0.001
    assert second.flags == ()
    assert second.val_loss == pytest.approx((1.45, 0.1 / math.sqrt(2)))
    assert second.images_per_second == 110


@pytest.mark.parametrize(
    "other,flag,tested",
    [
        (dict(ids=["b/1", "b/2", "b/3", "b/4"]), "not compared: other test images", False),
        (dict(pixels="q"), "not compared: other pixels (train)", False),
        (dict(pixels="q", data__image_size=32), "other input size (train)", True),
        (dict(device="gpu"), "other device", True),
        (dict(train__epochs=9), "train.epochs 9", True),
        (dict(seed=3), "seeds 3, the baseline's are 0", True),
    ],
)
def test_an_unfair_comparison_is_flagged(other, flag, tested):
    other = {"seed": 0, **other}
    rows = compare([[fake_run("baseline", 0, [1, 1, 0, 0])], [fake_run("x", right=[1, 1, 1, 0], **other)]])
    assert flag in rows[1].flags
    assert math.isnan(rows[1].p) != tested


def test_the_page_holds_every_run_and_its_figures(tmp_path):
    groups = [[fake_run("baseline", k, [1, 1, 0, 0] * 9) for k in (0, 1)], [fake_run("<b>&x", 0, [1, 0, 1, 1] * 9)]]
    text = page.to_page(groups, compare(groups), ["workdir y holds no finished run"])
    assert "3 runs of 2 variants" in text
    assert "Left out: workdir y" in text
    assert "<b>&x" not in text
    assert text.count('<g id="variant0"><title>baseline</title>') == 3  # two curves and a point
    assert text.count('<g id="variant1"><title>&lt;b&gt;&amp;x</title>') == 2


def test_runs_of_one_label_that_differ_are_refused():
    group = [fake_run("x", 0, [1, 0]), fake_run("x", 1, [1, 0], train__patience=3)]
    with pytest.raises(UserError, match="have the same label but differ: train.patience"):
        compare([group])


def test_another_run_starts_only_where_memory_allows(tmp_path, monkeypatch):
    import psutil

    path = write_experiment(tmp_path, ["", "blocks=1"])
    trials = space.create_trials(str(path), {}, tmp_path)
    runner = sweep.Scheduler({}, 2, SweepDisplay(trials))
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        running = [sweep.TrialProcess(trials[0], process, 0, tmp_path / "log", 0, time.monotonic())]
        assert not runner._fits(running)  # in its first epoch: how much it will take is not known
        trials[0].workdir.mkdir()
        (trials[0].workdir / "metrics.jsonl").write_text('{"epoch": 1, "val_loss": 1.0}\n')
        assert runner._fits(running)
        memory = psutil.virtual_memory()
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=2**20))
        assert not runner._fits(running)
    finally:
        process.kill()
        process.wait()


ROWS = [
    Row("baseline", 2, 10_588_458, 1_234_567_890, 36.94, 8.0, Spread(1.5, 0.01), Spread(0.4, 0.012),
        math.nan, (math.nan,) * 2, math.nan, ()),
    Row("lr=3e-4_x", 2, 12, 999, 40.0, 7.5, Spread(1.6, 0.02), Spread(0.35, 0.02),
        -0.05, (-0.08, -0.02), 0.0004, ("other 100 %",)),
]  # fmt: skip


def test_the_table_in_each_form():
    markdown = tables.to_markdown(ROWS).splitlines()
    assert markdown[2] == "| baseline | 2 | 40.0 ± 1.2 |  |  |  | 1.500 ± 0.010 | 8.0 | 10,588,458 | 1.23 G | 36.9 |  |"
    assert "| 35.0 ± 2.0 | -5.0 | -8.0 to -2.0 | < 0.001 | 1.600" in markdown[3]
    assert "| other 100 % |" in markdown[3]
    assert len({line.count("|") for line in markdown}) == 1
    text = tables.to_text(ROWS).splitlines()
    end = text[0].index("test accuracy (%)") + len("test accuracy (%)")
    assert [line[:end].split("  ")[-1].strip() for line in text[1:]] == ["40.0 ± 1.2", "35.0 ± 2.0"]
    latex = tables.to_latex(ROWS)
    assert r"lr=3e-4\_x & 2 & 35.0 $\pm$ 2.0 & -5.0" in latex
    assert r"$<$ 0.001" in latex
    assert r"other 100 \%" in latex
    assert len({line.count(" & ") for line in latex.splitlines() if "&" in line}) == 1
    rows = list(csv.DictReader(tables.to_csv(ROWS).splitlines()))
    assert rows[1]["difference"] == "-0.05"
    assert rows[0]["difference"] == ""
    assert rows[0]["accuracy"] == "0.4"
    assert "remarks" not in tables.to_markdown(ROWS[:1])  # a column that nobody needs


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_sweep_survives_a_failing_variant_and_compares_the_others(tmp_path):
    # 16 pixels do not survive a pool of 32: the run fails when it starts.
    path = write_experiment(tmp_path, ["", "blocks=1", "model.blocks[0].pool=32"], seeds=2)
    folder = tmp_path / "runs"
    done = run_main("--mode", "sweep", "--config", path, "--workdir", folder, "--jobs", 2)
    assert done.returncode == 2, done.stderr
    assert "error: 2 runs failed, first model.blocks-0-.pool=32-seed0 (model.blocks[0] gets 16 x 16" in done.stderr
    rows = list(csv.DictReader((folder / "comparison" / "table.csv").open()))
    assert [(row["variant"], row["seeds"]) for row in rows] == [("baseline", "2"), ("blocks=1", "2")]
    page = (folder / "comparison" / "comparison.html").read_text()
    assert page.count("<svg") == 3
    assert (folder / "comparison" / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    # Names of XML vocabularies are no addresses that a browser asks for.
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", page)
    assert "url(http" not in page
    record = json.loads((folder / "blocks=1-seed1" / "run.json").read_text())
    session = record["sessions"][-1]
    assert session["config"] == f"{path}:blocks=1,seed=1"
    assert session["seed"] == 1
    assert session["outcome"] == "finished"
    assert session["data"]["test"]["images"] == 50
    assert session["packages"]["jax"]
    assert session["command"]
    outcomes = [json.loads((folder / f"blocks=1-seed{k}" / "run.json").read_text())["result"] for k in (0, 1)]
    assert [outcome["epochs"] for outcome in outcomes] == [2, 2]
    mean = np.mean([outcome["test_accuracy"] for outcome in outcomes])
    assert float(rows[1]["accuracy"]) == pytest.approx(mean, abs=1e-12)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("metrics.jsonl")}
    again = run_main("--mode", "sweep", "--config", path, "--workdir", folder)
    assert "sweep: 6 runs, 8 of 12 epochs are done" in again.stdout
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("metrics.jsonl")} == before


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_sweep_that_is_killed_ends_as_one_that_was_not(tmp_path):
    path = write_experiment(tmp_path, ["", "blocks=1"], epochs=6)
    whole = run_main("--mode", "sweep", "--config", path, "--workdir", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "killed"
    arguments = "--mode", "sweep", "--config", path, "--workdir", folder
    for name, lines in (("baseline-seed0", 2), ("blocks=1-seed0", 1)):
        process = start_main(*arguments, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while _lines(folder / name / "metrics.jsonl") < lines and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    end = run_main("--mode", "sweep", "--config", path, "--workdir", folder)
    assert end.returncode == 0, end.stderr
    for name in ("baseline-seed0", "blocks=1-seed0"):
        for file in ("metrics.jsonl", "evaluation/predictions.csv"):
            assert (folder / name / file).read_bytes() == (tmp_path / "whole" / name / file).read_bytes()
    sessions = json.loads((folder / "baseline-seed0" / "run.json").read_text())["sessions"]
    assert len(sessions) == 2
    assert sessions[0]["outcome"] in ("killed", "interrupted")


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_hopeless_variants_are_pruned_and_the_kept_are_as_without(tmp_path):
    path = write_experiment(tmp_path, ["", "lr=1e-9", "lr=2e-3", "lr=1e-8"], epochs=4)
    folder = tmp_path / "runs"
    done = run_main("--mode", "sweep", "--config", path, "--workdir", folder, "--prune", 2)
    assert done.returncode == 0, done.stderr
    assert "epoch 1: pruned" in done.stdout
    assert "lr=1e-9" in done.stdout.split("epoch 1: pruned")[1].splitlines()[0]
    epochs = {p.name: _lines(p / "metrics.jsonl") for p in folder.iterdir() if p.is_dir() and p.name != "comparison"}
    assert epochs["baseline-seed0"] == epochs["lr=2e-3-seed0"] == 4
    assert epochs["lr=1e-9-seed0"] < 4
    alone = run_main("--config", f"{path}:lr=2e-3,seed=0", "--workdir", tmp_path / "alone")
    assert alone.returncode == 0
    ours, theirs = ((p / "metrics.jsonl").read_bytes() for p in (folder / "lr=2e-3-seed0", tmp_path / "alone"))
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_run_is_reproduced_and_another_one_is_not(tmp_path):
    path = write_experiment(tmp_path, [""])
    assert run_main("--config", path, "--workdir", tmp_path / "run").returncode == 0
    same = run_main("--mode", "reproduce", "--workdir", tmp_path / "run")
    assert same.returncode == 0, same.stderr
    assert "the same: 2 epochs, evaluation and every prediction are equal to the byte" in same.stdout
    metrics = tmp_path / "run" / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    rows[1]["val_loss"] += 1e-7
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    other = run_main("--mode", "reproduce", "--workdir", tmp_path / "run")
    assert other.returncode == 1
    assert "metrics.jsonl differs: line 2 is val_loss" in other.stdout
    assert "not the same: 1 of 4 files differ" in other.stdout


def _lines(path):
    return path.read_text().count("\n") if path.exists() else 0


def test_the_recipe_changes_step_by_step_from_the_tutorial_to_food10_fast(tmp_path):
    trials = space.create_trials(str(ROOT / "experiments" / "recipe_parts.py"), {}, tmp_path)  # each valid, and new
    trials = [trial for trial in trials if trial.seed == 0]
    first, last, tutorial, fast = (
        dict(config_lib.flatten(config))
        for config in (trials[0].config, trials[-1].config, food10.get_config(), food10_fast.get_config())
    )
    assert {key for key in fast if fast[key] != last[key]} == {"name", "train.epochs", "train.patience"}
    scaled = {"data.image_size", "data.resize", "data.batch_size", "train.epochs", "train.patience"}
    changed = {key for key in first if first[key] != tutorial.get(key)}
    assert trials[0].label == "step=tutorial"
    assert changed == scaled | {"name", "model.blocks[3].padding"}
    for trial in trials:
        create_model(trial.config, 10)
