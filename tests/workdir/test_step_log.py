import json

import jax.numpy as jnp
import pytest

from foodjax.config.check import checked
from foodjax.steps.metrics import Metrics
from foodjax.workdir.metrics import read_metrics
from foodjax.workdir.step_log import StepLog
from foodjax.workdir.tensorboard import EventFile


@pytest.fixture
def open_log(tiny_config, tmp_path):
    """Opens the log of a run of ten steps an epoch, with a line for every second step."""

    def create(step=0, **changes):
        tiny_config.log.update({"every_steps": 2, **changes})
        return StepLog(tmp_path, step, 10, config=checked(tiny_config), learning_rate=lambda s: s / 4)

    return create


def one(step):
    """The metrics of a step of 8 images, told by its loss."""
    return Metrics(jnp.float32(8 * step), jnp.float32(2), jnp.float32(8), {"grad_norm": jnp.float32(step / 2)})


def steps_of(folder):
    return [row["step"] for row in read_metrics(folder / "steps.jsonl")]


def test_every_second_step_has_a_line_with_its_own_numbers(open_log, tmp_path):
    log = open_log()
    for first in range(12):
        log.add(first, one(first + 1))
        log.write(first)  # the newest is still on its way
    assert steps_of(tmp_path) == [2, 4, 6, 8, 10]
    log.write(12)
    log.close()
    rows = read_metrics(tmp_path / "steps.jsonl")
    assert rows[0] == {
        "epoch": 1, "step": 2, "loss": 2.0, "accuracy": 0.25, "learning_rate": 0.25, "grad_norm": 1.0,
    }  # fmt: skip
    assert [(row["step"], row["epoch"]) for row in rows[-2:]] == [(10, 1), (12, 2)]


def test_steps_of_one_dispatch_are_told_apart(open_log, tmp_path):
    log = open_log(writers=())
    stacked = Metrics(jnp.arange(4, 7) * 8.0, jnp.ones(3), jnp.full(3, 8.0))  # of the steps 4, 5 and 6
    log.add(3, stacked)
    log.write(6)
    log.close()
    assert [(row["step"], row["loss"]) for row in read_metrics(tmp_path / "steps.jsonl")] == [(4, 4.0), (6, 6.0)]
    assert not (tmp_path / "tensorboard").exists()


def test_a_run_that_continues_has_each_step_once(open_log, tmp_path):
    log = open_log()
    for first in range(6):
        log.add(first, one(first + 1))
    log.write(6)
    with (tmp_path / "steps.jsonl").open("a") as file:
        file.write('{"epoch": 1, "st')  # of a kill
    log = open_log(step=4)
    for first in range(4, 8):
        log.add(first, one(first + 1))
    log.write(8)
    log.close()
    assert steps_of(tmp_path) == [2, 4, 6, 8]
    assert EventFile(tmp_path / "tensorboard/steps", 100).steps == {2, 4, 6, 8}


def test_without_it_nothing_is_written(open_log, tmp_path):
    (tmp_path / "steps.jsonl").write_text(json.dumps({"epoch": 1, "step": 2}) + "\n")
    log = open_log(every_steps=0)
    log.add(0, one(1))
    log.write(1)
    log.close()
    assert steps_of(tmp_path) == [2]
    assert not (tmp_path / "tensorboard").exists()
