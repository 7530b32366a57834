import json

import numpy as np
import pytest

from foodjax.config.check import checked, replace
from foodjax.system.errors import UserError
from foodjax.workdir.logs import MetricsLog

pytestmark = pytest.mark.slow
pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'foodjax[mlflow]'")


@pytest.fixture
def client(tmp_path, monkeypatch):
    """MLflow's client of a database of the test's own."""
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)  # MLflow keeps pictures in mlruns/
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def row(epoch):
    return {"epoch": epoch, "step": 10 * epoch, "loss": 1 / epoch, "val_loss": 2.0}


def test_a_continued_run_is_the_same_one_with_every_step_once(tmp_path, tiny_config, client):
    workdir = tmp_path / "run"
    workdir.mkdir()
    config = replace(checked(tiny_config), {"log.writers": ("mlflow",)})
    log = MetricsLog(workdir, [], 0, config=config, learning_rate=float)
    for epoch in (1, 2, 3):
        log.write(row(epoch), {"data_wait": 0.5})
        log.write_text(10 * epoch, "layers", f"of {epoch}")
        log.write_image(10 * epoch, "photographs: some", np.zeros((4, 6, 3), np.uint8))
        log.flush(10 * epoch)
    identity = json.loads((workdir / "mlflow.json").read_text())["id"]
    assert client.get_run(identity).info.status == "RUNNING"
    log.close(finished=False)
    assert client.get_run(identity).info.status == "KILLED"
    # Killed before the checkpoint of step 30: the epoch is done again, and the run goes on for longer.
    config = replace(config, {"train.epochs": 7})
    log = MetricsLog(workdir, [row(1), row(2)], 20, config=config, learning_rate=float)
    for epoch in (3, 4):
        log.write(row(epoch), {"data_wait": 0.25})
    log.close()
    assert json.loads((workdir / "mlflow.json").read_text())["id"] == identity
    run = client.get_run(identity)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    assert run.data.params["model.blocks_0_.features"] == "8"
    found = {name: [(m.step, m.value) for m in client.get_metric_history(identity, name)] for name in run.data.metrics}
    assert found["loss"] == [(10, 1.0), (20, 0.5), (30, 1 / 3), (40, 0.25)]
    assert found["learning_rate"] == [(10, 9), (20, 19), (30, 29), (40, 39)]
    assert found["data_wait"] == [(10, 0.5), (20, 0.5), (30, 0.5), (40, 0.25)]
    assert sorted(found) == ["data_wait", "epoch", "learning_rate", "loss", "val_loss"]
    assert len([f for f in client.list_artifacts(identity, "images") if f.path.endswith(".png")]) == 3
    assert "layers.md" in [f.path for f in client.list_artifacts(identity)]
    # Of a run that MLflow does not know any more, a new one has all.
    client.delete_run(identity)
    MetricsLog(workdir, [row(1), row(2)], 20, config=config).close()
    other = json.loads((workdir / "mlflow.json").read_text())["id"]
    assert other != identity
    assert [m.step for m in client.get_metric_history(other, "loss")] == [10, 20]


def test_a_place_that_is_none_is_one_line(tmp_path, tiny_config, monkeypatch, client):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://there")
    config = replace(checked(tiny_config), {"log.writers": ("mlflow",)})
    with pytest.raises(UserError, match=r"log.writers has 'mlflow', and MLflow does not start a run \(.*\): needs a"):
        MetricsLog(tmp_path, [], 0, config=config)
