import json

import pytest
from helpers import run_main, write_experiment


@pytest.mark.slow
@pytest.mark.usefixtures("own_cache")
def test_a_run_is_reproduced_and_another_one_is_not(tmp_path):
    path = write_experiment(tmp_path, [""])
    assert run_main("--config", path, "--workdir", tmp_path / "run").returncode == 0
    # It was logged to a service; whoever runs it again sends nothing there, and need not have its package.
    stored = json.loads((tmp_path / "run/config.json").read_text())
    stored["log"]["writers"] = ["wandb", "tensorboard"]
    (tmp_path / "run/config.json").write_text(json.dumps(stored))
    same = run_main("--mode", "reproduce", "--workdir", tmp_path / "run")
    assert same.returncode == 0, same.stderr
    assert "the same: 2 epochs, evaluation and every prediction are equal to the byte" in same.stdout
    (again,) = (path.parent for path in tmp_path.glob("run*/finished.json") if path.parent.name != "run")
    assert json.loads((again / "config.json").read_text())["log"]["writers"] == ["tensorboard"]
    assert not (again / "wandb.json").exists()
    metrics = tmp_path / "run" / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    rows[1]["val_loss"] += 1e-7
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    other = run_main("--mode", "reproduce", "--workdir", tmp_path / "run")
    assert other.returncode == 1
    assert "metrics.jsonl differs: line 2 is val_loss" in other.stdout
    assert "not the same: 1 of 4 files differ" in other.stdout
