"""Comparisons of runs on folds: the test over folds, what it refuses, and the predictions of all folds."""

import csv
import glob
import io
import math
from pathlib import Path

import numpy as np
import pytest
from helpers import fake_run, write_experiment
from scipy import stats

from foodjax import cli
from foodjax.commands import arguments, configs
from foodjax.commands import sweep as sweep_verb
from foodjax.study import jobs, out_of_fold, results, significance, space, tables
from foodjax.study.compare import FOLDS, TOO_FEW_FOLDS, compare
from foodjax.system.errors import UserError


def fold_run(label, number, count, right, seed=None, validation=8, **changes):
    """Returns a run on a fold of 10 images for each of the `count` folds; its first `right` images are right."""
    ids = [f"fold{number}/{k}" for k in range(10)]
    seed = number - 1 if seed is None else seed
    run = fake_run(label, seed, [k < right for k in range(10)], ids, data__fold=f"{number}/{count}", **changes)
    test = run.data["test"] | {"images": 10}
    train, learned = run.data["train"], 10 * (count - 1) - validation
    return run._replace(data={"train": train | {"images": learned}, "validation": train | {"images": validation},
                              "test": test})  # fmt: skip


def group(label, rights, **changes):
    return [fold_run(label, k, len(rights), right, **changes) for k, right in enumerate(rights, start=1)]


def test_two_variants_are_compared_fold_by_fold_with_the_corrected_variance():
    base, other = compare([group("baseline", [5, 6, 4, 5, 7]), group("x", [7, 7, 6, 6, 8])])
    gain = np.array([0.2, 0.1, 0.2, 0.1, 0.1])
    assert base.by_fold == (0.5, 0.6, 0.4, 0.5, 0.7)
    assert base.accuracy == pytest.approx((0.54, np.std(base.by_fold, ddof=1)))
    assert base.num_seeds == 5
    assert other.tested == FOLDS
    assert other.difference == pytest.approx(0.14)
    error = math.sqrt((1 / 5 + 1 / 4) * gain.var(ddof=1))  # a fold is a quarter of the other four
    assert other.p == other.p_holm == pytest.approx(2 * stats.t.sf(0.14 / error, 4))
    assert other.interval == pytest.approx((0.14 - stats.t.ppf(0.975, 4) * error, 0.14 + stats.t.ppf(0.975, 4) * error))
    half = stats.t.ppf(0.975, 4) * math.sqrt((1 / 5 + 1 / 4) * np.var(base.by_fold, ddof=1))
    assert base.accuracy_interval == pytest.approx((0.54 - half, 0.54 + half))
    assert other.p > 4 * stats.ttest_1samp(gain, 0).pvalue  # without the correction
    assert not base.flags
    assert not other.flags
    assert math.isnan(other.wins)


def test_equal_folds_are_no_evidence():
    row = compare([group("baseline", [5, 6, 4]), group("x", [5, 6, 4])])[1]
    assert row.p == 1
    row = compare([group("baseline", [5, 6, 4]), group("x", [6, 7, 5])])[1]
    assert 0.05 < row.p < 1  # no smaller a variance than that of one image


def test_repeated_folds_count_with_their_own_assignment_and_seeds_of_one_fold_are_averaged():
    first, again = group("baseline", [5, 6, 4]), group("baseline", [6, 6, 5], data__fold_seed=1)
    row = compare([[*first, *again]])[0]
    assert row.by_fold == (0.5, 0.6, 0.4, 0.6, 0.6, 0.5)
    seeds = [run for k, right in enumerate([7, 6, 4], start=1) for run in [fold_run("baseline", k, 3, right, seed=9)]]
    row = compare([[*first, *seeds]])[0]
    assert row.by_fold == pytest.approx((0.6, 0.6, 0.4))


def test_folds_that_one_variant_lacks_are_named_and_do_not_count():
    base = group("baseline", [5, 6, 4, 5])
    row = compare([base, group("x", [7, 7, 6, 6])[1:]])[1]
    assert "folds 2/4, 3/4, 4/4, the baseline's are 1/4, 2/4, 3/4, 4/4" in row.flags
    assert row.tested == FOLDS
    assert row.difference == pytest.approx(np.mean([0.1, 0.2, 0.1]))
    row = compare([base, group("x", [7, 7, 6, 6])[2:]])[1]
    assert row.tested == TOO_FEW_FOLDS
    assert math.isnan(row.p)


def test_other_photographs_in_a_fold_are_not_compared():
    other = group("x", [5, 5, 6])
    other[1] = other[1]._replace(predictions={f"y{k}": pair for k, pair in enumerate(other[1].predictions.values())})
    row = compare([group("baseline", [5, 6, 4]), other])[1]
    assert "not compared: other photographs in a fold" in row.flags
    assert math.isnan(row.p)


@pytest.mark.parametrize("first", [True, False])
def test_folds_and_no_folds_are_not_compared(first):
    groups = [group("a", [5, 6, 4]), [fake_run("b", k, [1, 0] * 5) for k in range(3)]]
    row = compare(groups if first else groups[::-1])[1]
    words = ["no folds", "3 folds"] if first else ["3 folds", "no folds"]
    assert row.flags == (f"not compared: {words[0]}, the baseline has {words[1]}",)
    assert math.isnan(row.p)


def test_a_failed_fold_is_named():
    shares = [0.6, 0.62, 0.1, 0.58, 0.6]
    runs = []
    for k, share in enumerate(shares, start=1):
        run = fake_run("x", k, np.arange(500) < 500 * share, [f"{k}/{i}" for i in range(500)], data__fold=f"{k}/5")
        named = {i: (true, true if true == told else "b") for i, (true, told) in run.predictions.items()}
        runs.append(run._replace(predictions=named))
    row = compare([runs])[0]
    assert row.failed == ("3/5",)
    assert row.flags[0].startswith("fold 3/5 stands apart (10.0 %")


def test_runs_of_one_name_with_and_without_folds_are_two_variants(tmp_path, monkeypatch):
    runs = {f"x-fold{k}of3-seed{k - 1}": fold_run("x", k, 3, 5) for k in (1, 2, 3)}
    runs |= {f"x-seed{k}": fake_run("x", k, [1] * 10) for k in (0, 1)}
    for name in runs:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
    monkeypatch.setattr(results, "read_run", lambda folder: runs[folder.name])
    groups, _ = results.read_groups(f"{tmp_path}/*")
    assert {group[0].label: len(group) for group in groups} == {"x": 2, "x in 3 folds": 3}


def test_the_table_has_the_accuracy_of_each_fold_and_its_interval():
    rows = compare([group("baseline", [5, 6, 4]), group("x", [7, 7, 6])])
    cells = dict(zip(tables.HEADER, tables.cells(rows[0]), strict=True))
    assert cells["by fold (%)"] == "50.0 60.0 40.0"
    assert cells["its 95 % interval"].startswith("0.0 to ") or " to " in cells["its 95 % interval"]
    line = next(csv.DictReader(io.StringIO(tables.to_csv(rows))))
    assert line["accuracy_by_fold"] == "0.5 0.6 0.4"
    assert float(line["accuracy_low"]) == pytest.approx(rows[0].accuracy_interval[0])
    text = " ".join(tables.notes(rows))
    assert "± is the standard deviation over folds." in text
    assert "the photographs that trainings share (Nadeau and Bengio 2003)" in text
    assert "over folds, for new photographs" in text


def write_predictions(run, rows):
    (run.workdir / "evaluation").mkdir(parents=True)
    with (run.workdir / "evaluation" / "predictions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "true", "predicted", "probability"), *rows])


def test_out_of_fold_predictions_are_those_of_each_fold_in_the_same_columns(tmp_path):
    runs = []
    for k in (2, 1, 3):
        run = fold_run("x", k, 3, 5)._replace(workdir=tmp_path / f"x-fold{k}of3-seed{k - 1}")
        write_predictions(run, [(f"fold{k}/{i}", "a, b", "c", "0.250000") for i in range(2)])
        runs.append(run)
    files, lines = out_of_fold.to_files([runs])
    assert list(files) == ["out_of_fold-x.csv"]
    assert not lines
    rows = list(csv.reader(io.StringIO(files["out_of_fold-x.csv"])))
    assert rows[0] == ["id", "true", "predicted", "probability", "fold"]
    assert rows[1:] == [[f"fold{k}/{i}", "a, b", "c", "0.250000", str(k)] for k in (1, 2, 3) for i in range(2)]
    files, lines = out_of_fold.to_files([runs[1:]])
    assert not files
    assert lines == ["no out-of-fold predictions of x: fold 2 of 3 is missing"]
    run = runs[0]._replace(workdir=tmp_path / "again")
    write_predictions(run, [("fold1/0", "a", "a", "1.0")])
    assert "1 photographs are in two folds" in out_of_fold.to_files([[run, *runs[1:]]])[1][0]


def test_a_sweep_over_folds_has_a_run_of_each_fold_with_its_own_seed(tmp_path):
    path = write_experiment(tmp_path, ["", "lr=0.5"], seeds=2)
    trials = space.create_trials(str(path), {}, tmp_path / "runs", folds=3)
    assert len(trials) == 12
    assert [t.workdir.name for t in trials[:4]] == [
        "baseline-fold1of3-seed0", "lr=0.5-fold1of3-seed0", "baseline-fold2of3-seed1", "lr=0.5-fold2of3-seed1",
    ]  # fmt: skip
    assert [(t.config.data.fold, t.config.seed) for t in trials[::2]] == [
        (f"{seed % 3 + 1}/3", seed) for seed in range(6)
    ]  # fmt: skip
    assert trials[3].argument == f"{path}:lr=0.5,seed=1,data.fold=2/3"
    with pytest.raises(UserError, match="--folds is 3 and data.fold is '1/5': needs one of them"):
        space.create_trials(str(path), {"data.fold": "1/5"}, tmp_path / "runs", folds=3)


def test_an_experiment_without_a_sweep_is_the_only_variant_of_its_folds(tmp_path):
    trials = space.create_trials("food10_fast", {}, tmp_path, folds=5)
    assert [t.config.data.fold for t in trials] == [f"{k}/5" for k in range(1, 6)]
    assert {t.label for t in trials} == {"baseline"}


def test_a_job_gets_the_folds_of_its_sweep(tmp_path):
    words = jobs.command_of("food10_fast", tmp_path, {"data.dir": "x"}, 0, "", 5)
    assert words[words.index("--folds") + 1] == "5"
    assert "--folds" not in jobs.command_of("food10_fast", tmp_path, {}, 0, "")


def test_the_label_of_a_run_is_its_variant():
    names = ["baseline-fold1of5-seed0", "x-seed3", "x-fold2of10-seed1", "plain"]
    found = [results.label_of(name) for name in names]
    assert found == ["baseline", "x", "x", "plain"]


def test_fewer_than_three_folds_are_no_test():
    with pytest.raises(ValueError, match="2 folds: needs at least 3"):
        significance.of_folds(np.array([0.5, 0.6]), tested=1.0, images=10)


@pytest.mark.parametrize("given,name", [([], "runs/food10_fast-5folds"), (["--workdir", "here"], "here")])
def test_the_verb_sweeps_over_folds_in_a_folder_of_their_own(given, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained, compared = [], []
    monkeypatch.setattr("foodjax.study.sweep.sweep", lambda trials, *rest: trained.extend(trials) or "")
    monkeypatch.setattr("foodjax.study.sweep.is_finished", lambda trial: True)
    monkeypatch.setattr("foodjax.study.page.write_comparison", lambda *arguments: compared.append(arguments))
    read = arguments.read(["sweep", "--config", "food10_fast", "--folds", "5", *given], cli.VERBS)
    sweep_verb.VERB.run(configs.load(read))
    assert [trial.workdir for trial in trained] == [
        Path(name) / f"baseline-fold{k}of5-seed{k - 1}" for k in range(1, 6)
    ]
    (((runs,), _, output),) = compared
    assert output == Path(name) / "comparison"
    for trial in trained:
        trial.workdir.mkdir(parents=True)
    (Path(name) / "baseline-seed0").mkdir()
    (Path(name) / "baseline-fold1of15-seed0").mkdir()
    assert sorted(glob.glob(runs)) == [str(trial.workdir) for trial in trained]


@pytest.mark.parametrize("folds", ["1", "-2", "2000", "x"])
def test_a_number_of_folds_that_is_none_is_one_line(folds):
    with pytest.raises(UserError, match="--folds is .*: needs (from 2 to 1000, or 0 for no folds|an integer)"):
        arguments.read(["sweep", "--config", "food10_fast", "--folds", folds], cli.VERBS)
