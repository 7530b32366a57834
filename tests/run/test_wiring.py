"""Whoever needs a network and its weights gets them from the wiring, from a run of today or an older one."""

import shutil

import jax
import numpy as np
import pytest
from faults import older_form

from foodjax.config.check import checked, replace
from foodjax.data.sets import load_data
from foodjax.data.tf_batches import train_batches
from foodjax.run import find_lr, loop
from foodjax.run.evaluate import evaluate_workdir
from foodjax.run.predict import Predictor
from foodjax.run.wiring import Engine, load_variables
from foodjax.system.errors import UserError
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.description import read_description


def copy(workdir, tmp_path):
    return shutil.copytree(workdir, tmp_path / "run")


def whole(workdir):
    """Returns {step: state} of a run's checkpoints."""
    engine, checkpoints = Engine(*read_description(workdir)), Checkpoints(workdir)
    like = engine.abstract_state()
    found = {step: jax.device_get(checkpoints.restore(step, like, engine.mesh)) for step in checkpoints.steps()}
    checkpoints.close()
    return found


def delete(workdir, item):
    for folder in (workdir / "checkpoints").glob(f"*/{item}"):
        shutil.rmtree(folder)


def test_an_older_run_predicts_and_evaluates_with_the_same_bytes(workdir, tmp_path):
    older = copy(workdir, tmp_path)
    older_form.rewrite_run(older)
    assert [p.name for p in (older / "checkpoints").glob("*/state")]
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    ours, theirs = Predictor(older), Predictor(workdir)
    assert ours.step == theirs.step
    np.testing.assert_array_equal(ours.probabilities(images), theirs.probabilities(images))
    evaluate_workdir(read_description(older)[0], older)
    for name in ("predictions.csv", "evaluation.json", "classes.csv"):
        assert (older / "evaluation" / name).read_bytes() == (workdir / "evaluation" / name).read_bytes()


def test_predicting_and_transfer_read_no_file_of_the_training(workdir, tmp_path):
    ours = copy(workdir, tmp_path)
    delete(ours, "training")
    jax.tree.map(np.testing.assert_array_equal, Predictor(ours).variables, Predictor(workdir).variables)
    jax.tree.map(np.testing.assert_array_equal, load_variables(ours)[0], load_variables(workdir)[0])
    config = replace(read_description(ours)[0], {"train.epochs": 2})
    (ours / "finished.json").unlink()
    with pytest.raises(UserError, match="cannot read checkpoint .*; no older one can be read"):
        loop.train(config, ours)


@pytest.mark.slow
@pytest.mark.parametrize("averages", [0.0, 0.9])
def test_an_older_run_goes_on_to_the_same_bits(tiny_config, tmp_path, averages):
    tiny_config.model.norm = "batch"
    tiny_config.checkpoint.every_steps = 4
    tiny_config.train.update(epochs=3, ema_decay=averages)
    loop.train(tiny_config, tmp_path / "whole")
    tiny_config.train.epochs = 1
    loop.train(tiny_config, tmp_path / "parts")
    older_form.rewrite_run(tmp_path / "parts")
    tiny_config.train.epochs = 3
    loop.train(tiny_config, tmp_path / "parts")
    for name in ("metrics.jsonl", "evaluation/predictions.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    ours, theirs = whole(tmp_path / "parts"), whole(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.slow
def test_find_lr_starts_from_the_weights_of_another_run(workdir, monkeypatch, capsys):
    monkeypatch.setattr(find_lr, "NUM_STEPS", 2)
    monkeypatch.setattr(find_lr, "suggest", lambda rates, smoothed: rates[0])  # two steps show no fall
    config = read_description(workdir)[0]
    drawn = find_lr.range_test(config).losses[0]
    config = replace(config, {"model.init_from": str(workdir)})
    losses = find_lr.range_test(config).losses
    assert f"weights from {workdir}: all of them" in capsys.readouterr().out
    data = load_data(config)
    engine = Engine(config, data.train.class_names)
    batch = next(iter(train_batches(data.train, data.parts.train, config, 0, 1)))
    _, metrics = engine.train_step(engine.create_state(), batch)
    assert losses[0] == metrics.compute()["loss"]
    assert losses[0] != drawn


def test_the_learning_rate_of_a_step_is_that_of_the_schedule(tiny_config):
    rate = {"optimizer.learning_rate": 0.5}
    constant = replace(checked(tiny_config), rate | {"optimizer.schedule": "constant", "optimizer.warmup": 0.0})
    assert Engine(constant, ("a", "b"), 6).learning_rate(11) == 0.5
    falling = rate | {"optimizer.schedule": "cosine", "optimizer.final_rate": 0.1, "optimizer.warmup": 0.0}
    engine = Engine(replace(checked(tiny_config), falling), ("a", "b"), 6)  # two epochs: 12 steps
    for step in (0, 5, 11):
        expected = 0.5 * (0.1 + 0.9 * (1 + np.cos(np.pi * step / 12)) / 2)
        assert engine.learning_rate(step) == pytest.approx(expected, rel=1e-6)
    assert Engine(constant, ("a", "b"), learning_rate=lambda step: 2.0 * step).learning_rate(3) == 6.0
