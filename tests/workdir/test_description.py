import os
import subprocess
import sys

import pytest
from helpers import run_main

from foodjax.config.check import checked
from foodjax.system.errors import UserError
from foodjax.workdir import description as workdir_lib


@pytest.mark.parametrize("name", ["config.json", "dataset.json"])
def test_checkpoints_without_their_description_are_told_from_an_empty_folder(tiny_config, tmp_path, name):
    workdir = tmp_path / "run"
    workdir_lib.write_description(workdir, checked(tiny_config), ("a", "b"))
    (workdir / "checkpoints").mkdir()
    (workdir / name).unlink()
    for use in (
        lambda: workdir_lib.write_description(workdir, checked(tiny_config), ("a", "b")),
        lambda: workdir_lib.read_description(workdir),
    ):
        with pytest.raises(UserError, match=f"run is damaged: it has checkpoints and no {name}: needs a copy of it"):
            use()


def test_a_start_that_was_cut_off_starts_again(tiny_config, tmp_path):
    workdir_lib.write_description(tmp_path / "run", checked(tiny_config), ("a", "b"))
    (tmp_path / "run" / "config.json").unlink()  # it is written last
    workdir_lib.write_description(tmp_path / "run", checked(tiny_config), ("a", "b"))
    assert workdir_lib.read_description(tmp_path / "run")[1] == ("a", "b")


@pytest.mark.slow
def test_no_python_file_of_a_workdir_is_run(tiny_config, tmp_path):
    workdir = tmp_path / "run"
    workdir_lib.write_description(workdir, checked(tiny_config), ("a", "b"))
    marker = tmp_path / "was_run"
    names = ("config", "sitecustomize", "usercustomize", "conftest", "food10", "jax", "foodjax/__init__")
    for name in names:
        path = workdir / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({os.fspath(marker)!r}, 'w')\n")
    result = run_main("--mode", "predict", "--workdir", ".", "--images", "config.json", cwd=workdir)
    assert result.returncode == 2, result.stderr
    assert "has no checkpoint yet" in result.stderr
    assert not marker.exists()
    subprocess.run([sys.executable, "-c", "import config"], cwd=workdir, check=True)
    assert marker.exists()  # the trap works
