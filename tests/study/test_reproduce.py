import json

import pytest
from helpers import run_main, write_experiment

from foodjax.config.check import replace
from foodjax.run import probe
from foodjax.study import reproduce
from foodjax.workdir.description import read_description


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


@pytest.mark.slow
def test_a_probe_is_reproduced_from_features_that_are_computed_again(workdir, tmp_path, monkeypatch, capsys):
    probe.probe(replace(read_description(workdir)[0], {"model.init_from": str(workdir)}), tmp_path / "run")
    config, _ = read_description(tmp_path / "run")
    monkeypatch.setattr(probe, "load_or_compute", None)
    assert reproduce.reproduce(config, tmp_path / "run", tmp_path / "again")
    assert "the same: 1 epoch, evaluation and every prediction are equal to the byte" in capsys.readouterr().out
    path = tmp_path / "run" / "probe.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"strength": 2 * found["strength"]}, indent=2) + "\n")
    assert not reproduce.reproduce(config, tmp_path / "run", tmp_path / "again")
    out = capsys.readouterr().out
    assert "probe.json differs: line 2 is " in out
    assert "not the same: 1 of 5 files differ" in out
