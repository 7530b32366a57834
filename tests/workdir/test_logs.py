import json
import sys

from foodjax.workdir.logs import MetricsLog


def row(epoch):
    return {"epoch": epoch, "step": 10 * epoch, "loss": 1 / epoch, "val_loss": 2.0}


def test_tensorboard_reads_the_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = MetricsLog(tmp_path, [], 0)
    for epoch in (1, 2):
        log.write(row(epoch), {"data_wait": 0.5})
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert sorted(events.Tags()["scalars"]) == ["data_wait", "epoch", "loss", "val_loss"]
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(10, 1.0), (20, 0.5)]


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
