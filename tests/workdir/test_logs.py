import json
import sys

import numpy as np
import pytest

from foodjax.config import rules
from foodjax.config.check import checked
from foodjax.system.errors import UserError
from foodjax.workdir import writer
from foodjax.workdir.logs import MetricsLog


def row(epoch):
    return {"epoch": epoch, "step": 10 * epoch, "loss": 1 / epoch, "val_loss": 2.0}


def points(folder):
    """Returns {name: [(step, value), ...]} of the curves that TensorBoard reads in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_train_and_validation_as_two_runs_with_the_same_names(tmp_path):
    log = MetricsLog(tmp_path, [], 0, learning_rate=lambda step: step / 2)
    for epoch in (1, 2):
        log.write(row(epoch), {"data_wait": 0.5})
    log.close()
    train, validation = points(tmp_path / "tensorboard/train"), points(tmp_path / "tensorboard/validation")
    assert sorted(train) == ["data_wait", "epoch", "learning_rate", "loss"]
    assert train["loss"] == [(10, 1.0), (20, 0.5)]
    assert train["learning_rate"] == [(10, 4.5), (20, 9.5)]  # of the steps 9 and 19, from 0
    assert validation == {"loss": [(10, 2.0), (20, 2.0)]}


def test_each_further_set_is_a_run_of_its_own_with_the_same_names(tmp_path, tiny_config):
    tiny_config.eval.more = (("v2", "/data/v2"), ("v2-small", "small"))
    log = MetricsLog(tmp_path, [], 0, config=checked(tiny_config))
    log.write(row(1) | {"v2_loss": 3.0, "v2-small_loss": 4.0}, {"data_wait": 0.5})
    log.write(row(2), {"data_wait": 0.5})  # where they were not due
    log.close()
    found = {name: points(tmp_path / "tensorboard" / name) for name in ("train", "validation", "v2", "v2-small")}
    assert found["v2"] == {"loss": [(10, 3.0)]}
    assert found["v2-small"] == {"loss": [(10, 4.0)]}
    assert found["validation"] == {"loss": [(10, 2.0), (20, 2.0)]}
    assert sorted(found["train"]) == ["data_wait", "epoch", "loss"]


def test_a_continued_run_drops_later_points_and_writes_missing_ones_again(tmp_path):
    log = MetricsLog(tmp_path, [], 0)
    for epoch in (1, 2, 3):
        log.write(row(epoch), {"data_wait": 0.5})
    log.close()
    for path in (tmp_path / "tensorboard/validation").iterdir():
        path.unlink()
    log = MetricsLog(tmp_path, [row(1), row(2)], 20)
    log.write(row(3), {"data_wait": 0.25})
    log.close()
    whole = [(10, 1.0), (20, 0.5), (30, pytest.approx(1 / 3))]
    assert points(tmp_path / "tensorboard/train")["loss"] == whole
    assert points(tmp_path / "tensorboard/train")["data_wait"] == [(10, 0.5), (20, 0.5), (30, 0.25)]
    assert points(tmp_path / "tensorboard/validation")["loss"] == [(10, 2.0), (20, 2.0), (30, 2.0)]
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        *map(row, (1, 2, 3))
    ]


def test_texts_and_pictures_are_in_the_folder_above(tmp_path):
    log = MetricsLog(tmp_path, [], 0)
    log.write_text(7, "layers", "| layer |")
    log.write_image(7, "photographs", np.zeros((4, 6, 3), np.uint8))
    log.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Tags()["images"] == ["photographs"]
    assert events.Images("photographs")[0].width == 6


def test_without_tensorboard_its_curves_alone_are_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "foodjax.workdir.tensorboard", raising=False)
    for name in [name for name in sys.modules if name.startswith("tensorboard.")]:
        monkeypatch.delitem(sys.modules, name)
    log = MetricsLog(tmp_path, [], 0)
    assert capsys.readouterr().out == "tensorboard is not installed: its curves are left out\n"
    log.write(row(1), {})
    log.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] == 1.0
    assert not (tmp_path / "tensorboard").exists()


def test_without_writers_metrics_jsonl_is_the_same(tmp_path, tiny_config):
    contents = []
    for name, writers in (("with", ("tensorboard",)), ("without", ())):
        tiny_config.log.writers = writers
        (tmp_path / name).mkdir()
        log = MetricsLog(tmp_path / name, [], 0, config=checked(tiny_config), learning_rate=float)
        log.write(row(1), {"data_wait": 0.5})
        log.close()
        contents.append((tmp_path / name / "metrics.jsonl").read_bytes())
    assert contents[0] == contents[1]
    assert json.loads(contents[0]) == row(1)
    assert not (tmp_path / "without" / "tensorboard").exists()


class Recorded:
    """A writer that has the first steps, and may fail."""

    def __init__(self, steps=(), fails_at=None):
        self.steps, self.fails_at, self.calls = steps, fails_at, []

    def write(self, step, numbers):
        if step == self.fails_at:
            raise ConnectionError("the service is gone\nfor good")
        self.calls.append((step, numbers["loss"]))

    def write_text(self, step, tag, markdown):
        self.calls.append((step, tag))

    def flush(self):
        self.calls.append("flush")

    def close(self, *, finished):
        self.calls.append(finished)


def opened(monkeypatch, tiny_config, recorded):
    monkeypatch.setattr("foodjax.workdir.logs.open_writer", lambda name, run: recorded)
    tiny_config.log.writers = ("wandb",)
    return checked(tiny_config)


def test_a_writer_gets_no_step_twice_and_learns_how_the_training_ended(tmp_path, monkeypatch, tiny_config):
    recorded = Recorded(steps=(10, 30))
    config = opened(monkeypatch, tiny_config, recorded)
    log = MetricsLog(tmp_path, [row(1), row(2)], 20, config=config)
    log.write(row(3), {})  # it was done before the kill
    log.write_text(30, "text", "")
    log.flush(30)
    log.write(row(4), {})
    log.close(finished=False)
    assert recorded.calls == [(20, 0.5), "flush", (40, 0.25), False]


def test_a_service_that_fails_ends_no_training(tmp_path, monkeypatch, tiny_config, capsys):
    recorded = Recorded(fails_at=20)
    log = MetricsLog(tmp_path, [], 0, config=opened(monkeypatch, tiny_config, recorded))
    for epoch in (1, 2, 3):
        log.write(row(epoch), {})
    log.close()
    assert recorded.calls == [(10, 1.0)]
    assert capsys.readouterr().out == (
        "wandb is left out from step 20 on (the service is gone); metrics.jsonl has all\n"
    )
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_the_names_of_the_writers_are_those_of_the_key():
    assert tuple(writer.WRITERS) == rules.WRITERS


@pytest.mark.parametrize("names", [("tensorbord",), ("wandb", "wandb"), (1,)])
def test_unknown_and_double_names_are_refused(tiny_config, names):
    tiny_config.log.writers = names
    with pytest.raises(UserError, match="log.writers is .*: needs a tuple of different names among tensorboard, wandb"):
        checked(tiny_config)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_told_with_the_command(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"log.writers has '{name}', .*: pip install 'foodjax\[{name}\]', or leave it"):
        writer.check(("tensorboard", name))
    writer.check(("tensorboard",))
