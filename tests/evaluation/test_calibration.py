import csv
import json
import shutil

import numpy as np
import pytest
from helpers import make_food_root
from scipy.special import softmax

from foodjax import cli
from foodjax.commands import arguments, configs
from foodjax.config.check import replace
from foodjax.evaluation import calibration, scores
from foodjax.evaluation import temperature as temperature_lib
from foodjax.evaluation.predictions import Predictions
from foodjax.run import evaluate, loop, predict
from foodjax.system.errors import UserError
from foodjax.workdir.description import read_description
from foodjax.workdir.metrics import read_metrics

pytestmark = pytest.mark.slow


def drawn(count=20_000, num_classes=10, seed=0):
    """Logits, and labels that are drawn with just the probabilities that they tell."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, num_classes))
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    return logits, labels


def test_probabilities_that_are_right_keep_the_temperature_1():
    logits, labels = drawn()
    assert calibration.fit_temperature(softmax(logits, axis=1), labels) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("factor", [0.2, 0.72, 3.0])
def test_logits_that_are_multiplied_give_their_factor(factor):
    logits, labels = drawn()
    true = calibration.fit_temperature(softmax(logits, axis=1), labels)
    probabilities = softmax(factor * logits, axis=1)
    found = calibration.fit_temperature(probabilities, labels)
    assert found == pytest.approx(factor * true, rel=1e-9)
    of_float32 = calibration.fit_temperature(probabilities.astype(np.float32), labels)
    assert of_float32 == pytest.approx(found, rel=1e-5)
    least = calibration.mean_loss(probabilities, labels, found)
    assert least < min(calibration.mean_loss(probabilities, labels, found * x) for x in (0.99, 1.01))
    np.testing.assert_allclose(calibration.scale(probabilities, found), softmax(logits / true, axis=1), rtol=1e-7)


def test_an_underconfident_network_is_mended_and_an_average_too():
    logits, labels = drawn()
    noise = np.random.default_rng(1).normal(0, 0.3, logits.shape)
    average = (softmax(0.4 * logits + noise, axis=1) + softmax(0.4 * logits - noise, axis=1)).astype(np.float32) / 2
    fitted = temperature_lib.fit(
        Predictions({"loss": 9.0, "accuracy": 0.5}, average, labels, np.arange(len(labels))), 7
    )
    assert fitted.step == 7
    assert fitted.num_examples == 20_000
    assert fitted.temperature < 0.6
    assert fitted.calibration_error_before > 0.2
    assert fitted.calibration_error_after < 0.02
    assert fitted.loss_after < fitted.loss_before - 0.05
    assert fitted.loss_before == pytest.approx(-np.log(average[np.arange(len(labels)), labels]).mean(), rel=1e-5)
    text = str(fitted)
    assert text.startswith("temperature 0.")
    assert "fitted on 20,000 validation images: loss 1." in text


@pytest.mark.parametrize("temperature", [0.01, 0.3, 1.0, 7.0, 100.0])
def test_no_temperature_changes_a_prediction(temperature):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(5, 0.3), 5000).astype(np.float32)
    order = np.argsort(-probabilities, axis=1)
    rows = np.arange(2000)  # here the second is the first but for a bit
    top = probabilities[rows, order[:2000, 0]]
    probabilities[rows, order[:2000, 1]] = np.nextafter(top, np.float32(0))
    probabilities[4000:4100] = 0.2  # and here all are one
    probabilities[4100:4200] = np.eye(5)[3]
    found = calibration.scale(probabilities, temperature)
    np.testing.assert_array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    predictions = Predictions({"loss": 1.0, "accuracy": 0.5}, probabilities, rng.integers(0, 5, 5000), np.arange(5000))
    fitted = temperature_lib.Temperature(1, temperature, 9, 1.0, 1.0, 0.1, 0.1)
    names = tuple("abcde")
    ours = scores.compute_scores(temperature_lib.apply(predictions, fitted), names)
    theirs = scores.compute_scores(predictions, names)
    assert (ours.accuracy, ours.interval, ours.classes) == (theirs.accuracy, theirs.interval, theirs.classes)


@pytest.mark.parametrize("right", [True, False])
def test_a_set_without_a_minimum_says_nothing(right):
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
    labels = probabilities.argmax(axis=1) if right else probabilities.argmin(axis=1)
    assert calibration.fit_temperature(probabilities, labels) == 1.0
    assert np.isfinite(calibration.mean_loss(np.eye(3), np.array([1, 2, 0])))  # a label of probability 0


def test_a_probability_that_is_no_number_is_refused():
    predictions = Predictions({}, np.full((2, 2), np.nan), np.zeros(2, int), np.arange(2))
    with pytest.raises(UserError, match="a validation probability of step 3 is nan"):
        temperature_lib.fit(predictions, 3)


# A run with a temperature


def small_config(root):
    from experiments import demo

    config = demo.get_config()
    config.data.update(dir=str(root / "food-101"), num_classes=0, cache_dir=str(root / "cache"), image_size=16)
    config.data.update(batch_size=16, resize="bilinear")
    config.model.blocks = config.model.blocks[:1]
    config.augment.update(rotation=0.0, shift_rows=0.0, shift_columns=0.0)
    config.model.norm = "batch"  # so small a network, so briefly trained, is surer than it should be
    config.model.head.update(pooling="average", hidden=())
    config.optimizer.learning_rate = 3e-3
    config.train.epochs = 3
    config.eval.update(flip=True, calibrate=True)
    return config


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated")
    make_food_root(folder / "food-101", num_train=40, num_test=15)
    return folder


@pytest.fixture(scope="module")
def trained(root):
    loop.train(small_config(root), root / "run")
    return root / "run"


@pytest.fixture
def run(trained, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(trained, tmp_path / "run")


def numbers(workdir, name="evaluation"):
    return json.loads((workdir / name / "evaluation.json").read_text())


def rows(workdir, name="evaluation"):
    with (workdir / name / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def stored(workdir):
    return json.loads((workdir / "calibration.json").read_text())


def set_calibrate(workdir, value):
    return replace(read_description(workdir)[0], {"eval.calibrate": value})


def test_the_temperature_is_that_of_the_best_checkpoint_and_changes_probabilities_alone(run, capsys):
    found = stored(run)
    best = min(read_metrics(run / "metrics.jsonl"), key=lambda row: row["val_loss"])
    assert found["step"] == best["step"]
    assert found["num_examples"] == 18
    assert found["temperature"] != 1
    assert found["loss_before"] == pytest.approx(best["val_loss"], rel=1e-5)
    assert found["loss_after"] < found["loss_before"]
    mended, mended_rows = numbers(run), rows(run)
    assert mended["temperature"] == found["temperature"]
    evaluate.evaluate_workdir(set_calibrate(run, False), run)
    assert ", fitted on" not in capsys.readouterr().out
    plain, plain_rows = numbers(run), rows(run)
    same = ("accuracy", "interval", "classes", "num_examples")
    assert [mended[key] for key in same] == [plain[key] for key in same]
    assert plain["temperature"] is None
    assert all(mended[key] != plain[key] for key in ("loss", "calibration_error"))
    assert [(r["id"], r["predicted"]) for r in mended_rows] == [(r["id"], r["predicted"]) for r in plain_rows]
    assert mended_rows != plain_rows
    evaluate.evaluate_workdir(set_calibrate(run, True), run)
    assert numbers(run) == mended
    assert rows(run) == mended_rows
    out = capsys.readouterr().out
    assert f"temperature {found['temperature']:.3f}, fitted on 18 validation images: loss " in out
    assert f"calibration error {mended['calibration_error']:.3f}, 45 images" in out


def test_a_kill_before_it_was_written_ends_in_the_same_files(trained, root, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(temperature_lib, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            loop.train(small_config(root), tmp_path / "run")
    assert not (tmp_path / "run" / "calibration.json").exists()
    assert not (tmp_path / "run" / "finished.json").exists()
    (tmp_path / "run" / "calibration.json").write_text("{")  # training never believes what lies there
    loop.train(small_config(root), tmp_path / "run")
    names = ["calibration.json", "finished.json", "metrics.jsonl"]
    names += [f"evaluation/{name}" for name in ("evaluation.json", "classes.csv", "predictions.csv")]
    for name in names:
        assert (tmp_path / "run" / name).read_bytes() == (trained / name).read_bytes(), name
    assert not list((tmp_path / "run").glob(".calibration*"))


def test_it_is_fitted_anew_where_it_is_missing_or_of_another_checkpoint(run):
    before = (run / "calibration.json").read_bytes()
    for spoil in (
        lambda path: path.unlink(),
        lambda path: path.write_text(json.dumps(stored(run) | {"step": 1, "temperature": 5.0})),
    ):
        spoil(run / "calibration.json")
        with pytest.raises(
            UserError, match=r"run has no calibration.json of its best checkpoint, step \d+: foodjax ev"
        ):
            predict.Predictor(run)
        evaluate.evaluate_workdir(set_calibrate(run, True), run)
        assert (run / "calibration.json").read_bytes() == before


def test_a_finished_run_without_one_gets_it(root, tmp_path):
    config = small_config(root)
    config.eval.calibrate = False
    loop.train(config, tmp_path / "run")
    assert not (tmp_path / "run" / "calibration.json").exists()
    assert numbers(tmp_path / "run")["temperature"] is None
    asked = given(tmp_path / "run", "--config.eval.calibrate=True").config
    evaluate.evaluate_workdir(asked, tmp_path / "run")
    assert numbers(tmp_path / "run")["temperature"] == stored(tmp_path / "run")["temperature"] != 1
    assert predict.Predictor(tmp_path / "run").temperature is None  # the run's own config has the last word
    assert predict.Predictor(tmp_path / "run", config=asked).temperature


def test_other_photographs_are_told_with_the_stored_one_and_never_fitted_to(run, tmp_path):
    make_food_root(tmp_path / "mine", num_train=9, num_test=6)
    config = replace(set_calibrate(run, True), {"data.dir": str(tmp_path / "mine")})
    before = (run / "calibration.json").read_bytes()
    evaluate.evaluate_workdir(config, run)
    assert (run / "calibration.json").read_bytes() == before
    assert numbers(run, "evaluation-mine")["temperature"] == stored(run)["temperature"]
    (run / "calibration.json").unlink()
    with pytest.raises(UserError, match="has no calibration.json .*: foodjax evaluate on the run's own data fits it"):
        evaluate.evaluate_workdir(config, run)
    assert not (run / "calibration.json").exists()


def test_without_the_validation_images_one_line_says_so(run, root, tmp_path):
    (run / "calibration.json").unlink()
    others = shutil.copytree(root / "food-101", tmp_path / "food-101")
    (others / "meta" / "train.json").write_text('{"bars": [], "cross": [], "ring": []}')
    config = replace(set_calibrate(run, True), {"data.dir": str(others)})
    (run / "config.json").write_text((run / "config.json").read_text().replace(str(run.parent), "x"))
    kept = json.loads((run / "config.json").read_text())
    kept["data"]["dir"] = str(others)
    (run / "config.json").write_text(json.dumps(kept))
    with pytest.raises(UserError, match="validation images to fit it on cannot be used: .*no train images.*or set --c"):
        evaluate.evaluate_workdir(config, run)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": "0.7"}, {"temperature": None}, {"temperature": True}, {"temperature": -0.7},
        {"temperature": 0}, {"temperature": float("nan")}, {"temperature": float("inf")}, {"temperature": 1e9},
        {"temperature": 10**400}, {"step": "3"}, {"step": 3.5}, {"loss_after": [1]}, {"more\nlines": 1},
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused_in_a_line(run, change):
    (run / "calibration.json").write_text(json.dumps(stored(run) | change))
    for use in (lambda: predict.Predictor(run), lambda: evaluate.evaluate_workdir(set_calibrate(run, True), run)):
        with pytest.raises(UserError, match=r"calibration.json is damaged \(.*\): delete it") as found:
            use()
        assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", "0.7", "null", "[" * 100_000, "\udcff"])
def test_what_is_no_calibration_at_all_is_refused_in_a_line(tmp_path, text):
    (tmp_path / "calibration.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match="is damaged") as found:
        temperature_lib.read(tmp_path, 3)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 500


def test_predict_and_serve_tell_the_same(run, root, tmp_path, capsys):
    from foodjax.serve import app

    images = root / "food-101" / "images"
    places = [str(images / row["id"]) + ".jpg" for row in rows(run)[::5]]
    predict.predict_workdir(run, places, tmp_path / "top.csv")
    assert capsys.readouterr().out.startswith(f"temperature {stored(run)['temperature']:.3f}, fitted on 18")
    with (tmp_path / "top.csv").open() as file:
        told = {row["path"]: float(row["probability"]) for row in csv.DictReader(file) if row["rank"] == "1"}
    guesser = app.Guesser(run)
    for place, row in zip(places, rows(run)[::5], strict=True):
        assert told[place] == pytest.approx(float(row["probability"]), abs=2e-4)
        with open(place, "rb") as file:
            first = guesser.read(file.read())["top"][0]
        assert (first["class"], first["probability"]) == (row["predicted"], pytest.approx(told[place], abs=1e-4))


def test_the_report_says_so(run):
    from foodjax.report import run_report

    evaluated = evaluate.evaluate_workdir(set_calibrate(run, True), run)
    text = run_report.to_page(evaluated, run)
    assert f"are those at temperature {stored(run)['temperature']:.3f}, fitted on 18 validation images" in text
    assert f"calibration error {evaluated.scores.calibration_error:.3f}" in text
    assert "are those at" not in run_report.to_page(evaluated._replace(temperature=None), run)


def given(workdir, *words):
    """What the verb evaluate gets of a command line."""
    return configs.load(arguments.read(["evaluate", "--workdir", str(workdir), *words], cli.VERBS))


@pytest.mark.parametrize(
    "override,message",
    [
        ("--config.eval.calibrate=maybe", "eval.calibrate is 'maybe': needs true or false"),
        ("--config.train.epochs=3", "evaluate cannot change train.epochs: needs one of .*data.dir"),
        ("--config.data.eval_batch_size=0", r"data.eval_batch_size is 0: needs an integer in \[1, 65536\]"),
    ],
)
def test_an_override_of_the_workdirs_config_that_cannot_be(trained, override, message):
    with pytest.raises(UserError, match=message):
        given(trained, override)


def test_overrides_without_an_experiment_are_of_the_workdir(trained):
    found = given(trained, "--config.data.dir=/other", "--noconfig.eval.calibrate")
    assert found.config.data.dir == "/other"
    assert found.config.eval.calibrate is False
    assert found.origin == {"config": None, "overrides": {"data.dir": "/other", "eval.calibrate": False}}
