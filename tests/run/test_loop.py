import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import one_device_mesh, run_main, start_main

from foodjax.config import stored
from foodjax.config.check import checked, replace
from foodjax.config.keys import Config
from foodjax.data import tf_batches
from foodjax.models.convnet import create_model
from foodjax.run import loop
from foodjax.run.wiring import Engine
from foodjax.steps.devices import create_mesh
from foodjax.steps.early_stopping import EarlyStopping
from foodjax.steps.metrics import Metrics
from foodjax.steps.optimizer import create_optimizer
from foodjax.steps.state import TrainState, create_train_state
from foodjax.steps.step import make_steps
from foodjax.system.errors import UserError
from foodjax.workdir import description as workdir_lib
from foodjax.workdir.checkpoint_content import LoopState
from foodjax.workdir.checkpoints import Checkpoints
from foodjax.workdir.metrics import read_metrics


class Setup(NamedTuple):
    """What a training starts from; the batch is 8 random images, one of each of 8 classes."""

    config: Config
    model: nn.Module
    tx: optax.GradientTransformation
    state: TrainState
    batch: dict[str, np.ndarray]


@pytest.fixture
def setup(tiny_config):
    config = checked(tiny_config)
    model, tx = create_model(config, 10), create_optimizer(config)
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8),
        "label": np.arange(8, dtype=np.int32),
    }
    return Setup(config, model, tx, create_train_state(config, model, tx), batch)


def test_it_learns_eight_images_by_heart_and_compiles_once(setup):
    config = replace(setup.config, {"optimizer.learning_rate": 3e-3})
    tx = create_optimizer(config)
    state = create_train_state(config, setup.model, tx)
    step, _ = make_steps(config, setup.model, tx, one_device_mesh())
    losses = []
    for _ in range(300):
        state, metrics = step(state, setup.batch)
        losses.append(metrics.compute()["loss"])
    assert losses[0] == pytest.approx(np.log(10), rel=0.2)
    assert losses[-1] < 0.2
    assert int(state.step) == 300
    # The first state lives where init put it, all later ones on the mesh.
    assert step._cache_size() <= 2


@pytest.mark.slow
def test_eight_devices_give_the_losses_of_one(setup):
    losses = {}
    for mesh in (one_device_mesh(), create_mesh(8)):
        step, _ = make_steps(setup.config, setup.model, setup.tx, mesh)
        state = create_train_state(setup.config, setup.model, setup.tx)
        curve = []
        for _ in range(10):
            state, metrics = step(state, setup.batch)
            curve.append(metrics.compute()["loss"])
        losses[mesh.size] = curve
    assert set(losses) == {1, 8}
    np.testing.assert_allclose(losses[1], losses[8], rtol=2e-4)


def test_a_batch_that_does_not_divide_among_the_devices_is_refused():
    with pytest.raises(UserError, match="data.batch_size is 12: needs a multiple of the 8 devices"):
        create_mesh(12)


def test_padding_changes_nothing(setup):
    _, eval_step = make_steps(setup.config, setup.model, setup.tx, one_device_mesh())
    plain, probs = eval_step(setup.state.variables, setup.batch | {"mask": np.ones(8, np.float32)})
    padded = {
        "image": np.concatenate([setup.batch["image"], np.full((4, 16, 16, 3), 200, np.uint8)]),
        "label": np.concatenate([setup.batch["label"], np.zeros(4, np.int32)]),
        "mask": np.array([1] * 8 + [0] * 4, np.float32),
    }
    total, padded_probs = eval_step(setup.state.variables, padded)
    assert total.compute() == pytest.approx(plain.compute(), rel=1e-6)
    np.testing.assert_allclose(padded_probs[:8], probs, rtol=1e-5)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)


def test_metrics_are_sums_divided_once():
    logits = jnp.log(jnp.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    labels = jnp.array([0, 0, 1])
    parts = [Metrics.from_batch(logits[a:b], labels[a:b], jnp.ones(b - a)) for a, b in ((0, 1), (1, 3))]
    numbers = parts[0].merge(parts[1]).compute()
    assert numbers["loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8]).mean(), rel=1e-5)
    assert numbers["accuracy"] == pytest.approx(2 / 3)


def test_rmsprop_is_keras_arithmetic(setup):
    tx = create_optimizer(setup.config)
    w, v, lr, rho, eps = 1.0, 0.0, setup.config.optimizer.learning_rate, 0.9, 1e-7
    params = {"w": jnp.array(w)}
    opt_state = tx.init(params)
    for g in (1e-4, -3e-4, 0.5):
        v = rho * v + (1 - rho) * g * g
        w -= lr * g / np.sqrt(v + eps)
        updates, opt_state = tx.update({"w": jnp.array(g)}, opt_state, params)
        params = {"w": params["w"] + updates["w"]}
        assert float(params["w"]) == pytest.approx(w, rel=1e-6)


def test_best_and_latest_are_kept_through_ties_and_nan(setup, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    stopping = EarlyStopping(10)
    for epoch, loss in enumerate([3.0, 1.0, 2.0, 1.0, float("nan"), 2.0], start=1):
        stopping = stopping.update(loss)
        checkpoints.save(setup.state.replace(step=jnp.int32(epoch)), LoopState(stopping, Metrics.zeros()), loss)
        checkpoints.wait()
        assert checkpoints.best_step() == min(epoch, 2)
        assert checkpoints.latest_step() == epoch
    checkpoints.close()
    again = Checkpoints(tmp_path)
    assert again.best_step() == 2
    restored = again.restore(2, setup.state, one_device_mesh())
    jax.tree.map(np.testing.assert_array_equal, restored.params, setup.state.params)
    assert again.restore_loop_state(6, 10).stopping == stopping
    again.close()


def test_the_highest_value_of_another_monitor_is_kept(setup, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    stopping = EarlyStopping(10, monitor="val_accuracy")
    for epoch, value in enumerate([0.2, 0.5, 0.4, 0.5, 0.3], start=1):
        stopping = stopping.update(value)
        checkpoints.save(setup.state.replace(step=jnp.int32(epoch)), LoopState(stopping, Metrics.zeros()), value)
    checkpoints.close()
    again = Checkpoints(tmp_path)
    assert again.steps() == [2, 4, 5]
    assert again.restore_loop_state(5, 10).stopping == stopping
    (tmp_path / "checkpoints/2/metrics/metrics").write_text('{"val_loss": 9.0}')
    assert again.restore_latest(setup.state, one_device_mesh()) is not None
    assert json.loads((tmp_path / "checkpoints/2/metrics/metrics").read_text()) == {"val_accuracy": 0.5}
    again.close()


@pytest.mark.parametrize("losses,best", [([np.nan, 2.0, np.nan], 1), ([np.inf, np.inf], 1), ([np.inf, 3.0, 4.0], 2)])
def test_a_first_loss_that_is_no_number_is_kept_as_keras_keeps_it(setup, tmp_path, losses, best):
    checkpoints = Checkpoints(tmp_path)
    stopping = EarlyStopping(10)
    for epoch, loss in enumerate(losses, start=1):
        stopping = stopping.update(loss)
        checkpoints.save(setup.state.replace(step=jnp.int32(epoch)), LoopState(stopping, Metrics.zeros()), loss)
    checkpoints.close()
    again = Checkpoints(tmp_path)
    assert again.best_step() == best == again.restore_loop_state(len(losses), 10).stopping.best_epoch
    again.close()


@pytest.mark.parametrize("found", ['{"val_loss": 0.1}', '{"val_loss": 3', "", None])
@pytest.mark.slow
def test_a_wrong_loss_beside_the_best_does_not_cost_the_next_best(setup, tmp_path, found):
    stopping = EarlyStopping(10)
    for losses in ([3.0, 4.0, 5.0], [2.0, 6.0, 7.0]):
        checkpoints = Checkpoints(tmp_path)
        if stopping.epoch:
            path = tmp_path / "checkpoints/1/metrics/metrics"
            path.write_text(found) if found is not None else path.unlink()
            restored = checkpoints.restore_latest(jax.eval_shape(lambda: setup.state), one_device_mesh())
            assert restored is not None
            assert restored[0] == 3
            assert json.loads(path.read_text()) == {"val_loss": 3.0}
        for loss in losses:
            stopping = stopping.update(loss)
            at = setup.state.replace(step=jnp.int32(stopping.epoch))
            checkpoints.save(at, LoopState(stopping, Metrics.zeros()), loss)
        checkpoints.close()
    assert Checkpoints(tmp_path).steps() == [4, 5, 6]
    assert Checkpoints(tmp_path).best_step() == 4


@pytest.mark.slow
def test_a_checkpoint_of_another_model_is_refused(setup, tiny_config, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(setup.state, LoopState(EarlyStopping(1).update(1.0), Metrics.zeros()), 1.0)
    checkpoints.wait()
    tiny_config.model.blocks[1].features = 9
    config = checked(tiny_config)
    other = create_train_state(config, create_model(config, 10), setup.tx)
    with pytest.raises(UserError, match=r"does not fit .*: params/block2/conv1/bias is \(8,\) there, needs \(9,\)"):
        checkpoints.restore(0, other, one_device_mesh())
    checkpoints.close()


def test_a_workdir_of_another_experiment_is_refused(tiny_config, tmp_path):
    workdir = tmp_path / "run"
    workdir_lib.write_description(workdir, checked(tiny_config), ("a", "b"))
    tiny_config.train.epochs = 5  # going on for longer is the same experiment
    workdir_lib.write_description(workdir, checked(tiny_config), ("a", "b"))
    before = (workdir / "config.json").read_text()
    tiny_config.optimizer.learning_rate = 0.5
    with pytest.raises(UserError, match="different experiment: optimizer.learning_rate"):
        workdir_lib.write_description(workdir, checked(tiny_config), ("a", "b"))
    assert (workdir / "config.json").read_text() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        workdir_lib.write_description(tmp_path / "mine", checked(tiny_config), ("a", "b"))


def state_of(workdir, config):
    engine = Engine(checked(config), workdir_lib.read_description(workdir)[1])
    checkpoints = Checkpoints(workdir)
    state = checkpoints.restore(checkpoints.latest_step(), engine.abstract_state(), engine.mesh)
    best = checkpoints.best_step()
    checkpoints.close()
    return jax.device_get(state), best


@pytest.mark.slow
def test_a_continued_run_equals_an_uninterrupted_one_to_the_bit(tiny_config, tmp_path):
    tiny_config.train.epochs = 3
    loop.train(tiny_config, tmp_path / "whole")
    for epochs in (1, 3):
        tiny_config.train.epochs = epochs
        loop.train(tiny_config, tmp_path / "parts")
    (whole, best), (parts, best_of_parts) = (state_of(tmp_path / name, tiny_config) for name in ("whole", "parts"))
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    assert best == best_of_parts
    rows = [read_metrics(tmp_path / name / "metrics.jsonl") for name in ("whole", "parts")]
    assert rows[0] == rows[1]
    assert [row["epoch"] for row in rows[0]] == [1, 2, 3]


def accuracy_line(output):
    return next(line for line in output.splitlines() if line.startswith("test accuracy"))


@pytest.mark.slow
def test_the_main_job_on_drawn_pictures(tmp_path):
    small = [
        f"--config.data.cache_dir={tmp_path}/cache", "--config.data.drawn_train=32", "--config.data.drawn_test=8",
        "--config.data.image_size=16", "--config.train.epochs=2", "--config.data.eval_batch_size=64",
    ]  # fmt: skip
    workdir, demo = tmp_path / "run", "experiments/demo.py:blocks=1"
    result = run_main("--config", demo, *small, "--workdir", workdir)
    assert result.returncode == 0, result.stderr
    assert "280 train, 40 validation, 80 test images" in result.stdout
    assert "devices: " in result.stdout
    assert "\x1b" not in result.stdout
    again = run_main("--config", demo, "--mode", "evaluate", "--workdir", workdir)
    assert again.returncode == 0, again.stderr
    assert accuracy_line(again.stdout) == accuracy_line(result.stdout)
    alone = run_main("--mode", "evaluate", "--workdir", workdir)
    assert accuracy_line(alone.stdout) == accuracy_line(result.stdout)
    with (workdir / "evaluation" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80
    assert {row["true"] for row in rows} == {row["id"].split("/")[0] for row in rows}
    report = json.loads((workdir / "evaluation" / "evaluation.json").read_text())
    assert report["accuracy"] == np.mean([row["true"] == row["predicted"] for row in rows])
    assert list((workdir / "tensorboard").rglob("events*"))
    other = run_main("--config", demo, "--workdir", workdir, "--config.seed=1")
    assert other.returncode == 2
    assert "different experiment" in other.stderr


@pytest.mark.slow
def test_the_main_job_on_real_photographs(food_photos, tmp_path):
    result = run_main(
        "--config", "experiments/food10.py", f"--config.data.dir={food_photos}", "--config.data.image_size=74",
        f"--config.data.cache_dir={tmp_path}/cache", "--config.train.epochs=1", "--workdir", tmp_path / "run",
        "--config.model.blocks[0].features=4", "--config.model.blocks[1].features=4",
        "--config.model.blocks[2].features=8", "--config.model.blocks[3].features=8",
        "--config.model.blocks[3].kernel=3", "--config.model.blocks[3].pool=2",
        "--config.data.eval_batch_size=250",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "3190 train, 560 validation, 750 test images" in result.stdout
    assert "750 images" in accuracy_line(result.stdout)


@pytest.mark.slow
def test_a_signal_keeps_the_checkpoints_and_the_run_goes_on(tmp_path):
    arguments = [
        "--config", "experiments/demo.py:blocks=1", f"--config.data.cache_dir={tmp_path}/cache",
        "--workdir", f"{tmp_path}/run", "--config.train.patience=2000",
        "--config.data.drawn_train=40", "--config.data.drawn_test=8", "--config.data.image_size=16",
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    metrics, done = tmp_path / "run" / "metrics.jsonl", 0
    for signum, status in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        process = start_main(*arguments, "--config.train.epochs=2000", **pipes)
        deadline = time.monotonic() + 120
        while len(read_metrics(metrics)) < done + 2 and time.monotonic() < deadline:
            time.sleep(0.2)
        process.send_signal(signum)
        out, err = process.communicate(timeout=60)
        assert process.returncode == status, err
        assert "the same command continues" in out
        assert (f"continuing {tmp_path}/run after epoch" in out) == (done > 0)
        assert "Traceback" not in err
        done = len(read_metrics(metrics))
    result = run_main(*arguments, f"--config.train.epochs={done + 1}")
    assert result.returncode == 0, result.stderr
    assert f"continuing {tmp_path}/run after epoch" in result.stdout
    assert [row["epoch"] for row in read_metrics(metrics)] == list(range(1, done + 2))


def test_two_processes_do_not_share_a_workdir(tmp_path):
    held = "import filelock, sys; f = filelock.FileLock(sys.argv[1]); f.acquire(); print(1, flush=True); input()"
    command = [sys.executable, "-c", held, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "1\n"
        with pytest.raises(UserError, match="is in use by another training"), workdir_lib.lock(tmp_path):
            pass
        other.kill()
    for _ in range(2):  # the dead one's lock is free, and so is one's own after use
        with workdir_lib.lock(tmp_path):
            pass


@pytest.mark.slow
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoints(tiny_config, tmp_path):
    workdir = tmp_path / "run"
    tiny_config.train.epochs = 1
    loop.train(tiny_config, workdir)
    tiny_config.optimizer.learning_rate = 1e30
    (workdir / "config.json").write_text(stored.to_json(checked(tiny_config)))
    tiny_config.train.epochs = 5
    with pytest.raises(UserError, match=r"training loss is (nan|inf) at step \d+ with optimizer.learning_rate=1e\+30"):
        loop.train(tiny_config, workdir)
    checkpoints = Checkpoints(workdir)
    assert checkpoints.best_step() == checkpoints.latest_step() == 6
    checkpoints.close()
    assert [row["epoch"] for row in read_metrics(workdir / "metrics.jsonl")] == [1]


@pytest.mark.slow
def test_the_wait_for_data_is_told(tiny_config, tmp_path, monkeypatch):
    tiny_config.train.epochs = 1
    batches = tf_batches.train_batches
    monkeypatch.setattr(tf_batches, "train_batches", lambda *a: (time.sleep(0.2) or batch for batch in batches(*a)))
    loop.train(tiny_config, tmp_path / "run")
    (row,) = read_metrics(tmp_path / "run" / "timing.jsonl")
    steps = 6  # 102 pictures in batches of 16
    assert row["data_wait"] * steps * 16 / row["images_per_second"] >= 0.2 * steps
    assert row["data_wait"] <= 1


def test_a_damaged_newest_checkpoint_falls_back_and_what_a_kill_left_is_removed(setup, tmp_path, capsys):
    checkpoints = Checkpoints(tmp_path)
    stopping, rows = EarlyStopping(10), []
    for epoch, loss in enumerate([1.0, 2.0, 3.0, 4.0], start=1):
        stopping = stopping.update(loss)
        rows.append({"epoch": epoch, "val_loss": loss})
        checkpoints.save(setup.state.replace(step=jnp.int32(epoch)), LoopState(stopping, Metrics.zeros(), rows), loss)
        checkpoints.wait()
        if epoch == 2:
            shutil.copytree(tmp_path / "checkpoints/2", tmp_path / "kept")
    assert checkpoints.steps() == [1, 3, 4]
    shutil.move(tmp_path / "kept", tmp_path / "checkpoints/2")
    largest = max((tmp_path / "checkpoints/4/weights").rglob("*"), key=lambda p: p.stat().st_size * p.is_file())
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    step, restored = checkpoints.restore_latest(setup.state, one_device_mesh())
    assert step == 3
    assert int(restored.step) == 3
    assert checkpoints.restore_loop_state(3, 10).rows == rows[:3]
    assert "moved to" in capsys.readouterr().out
    assert (tmp_path / "damaged" / "4-0").is_dir()
    assert checkpoints.steps() == [1, 2, 3]  # the two latest and the best
    shutil.rmtree(tmp_path / "checkpoints/1/training")
    with pytest.raises(UserError, match="it is the best so far: needs a copy of it, or another --workdir"):
        checkpoints.restore_latest(setup.state, one_device_mesh())
    for step in (2, 3):
        (tmp_path / f"checkpoints/{step}/progress/metadata").write_text("{")
    with pytest.raises(UserError, match="no older one can be read"):
        checkpoints.restore_latest(setup.state, one_device_mesh())
    assert checkpoints.steps() == [1, 2, 3]
    checkpoints.close()
