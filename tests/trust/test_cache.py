"""The cache that a strange workdir names."""

import json
import shutil

import pytest

import foodjax


@pytest.mark.slow
def test_a_folder_that_a_strange_workdir_calls_its_cache_is_not_written(tmp_path, workdir, monkeypatch, capsys):
    run, precious = tmp_path / "run", tmp_path / "precious"
    shutil.copytree(workdir, run)
    precious.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = run / "config.json"
    config = json.loads(path.read_text())
    config["data"]["cache_dir"] = str(precious)
    path.write_text(json.dumps(config))
    own = foodjax.evaluate(workdir).accuracy
    assert foodjax.evaluate(run).accuracy == own
    assert not list(precious.iterdir())
    assert f"data.cache_dir={precious} of the workdir holds no prepared photographs" in capsys.readouterr().out
    assert list((tmp_path / "cache" / "foodjax").glob("*/info.json"))


def test_a_cache_that_is_one_is_used(tmp_path, workdir, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    foodjax.evaluate(workdir)
    assert "prepared photographs" not in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()
