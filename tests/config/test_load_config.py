"""Experiments: packaged ones by name, your own by path, and what they import."""

import os
import subprocess
import sys

import pytest

import foodjax
from foodjax import load_config
from foodjax.config import experiments
from foodjax.config.check import checked, difference
from foodjax.system.errors import UserError

MINE = """
from experiments import food10, part_of_mine
from foodjax import variants

def get_config(arg=""):
    config = food10.get_config()
    config.name = "mine"
    config.train.epochs = part_of_mine.EPOCHS
    return variants.apply(config, arg)
"""


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.mark.parametrize("name", experiments.packaged())
def test_a_packaged_experiment_is_loaded_by_name_in_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checked(load_config(name)).name == name


def test_variants_and_keywords_are_applied_from_left_to_right():
    config = load_config("food10:blocks=3", "kernel=5", lr=3e-4, train__epochs=5, data__class_names=["a, b", "c"])
    assert config.name == "food10-blocks=3-kernel=5-lr=0.0003-train.epochs=5-data.class_names=-a-b-c"
    assert len(config.model.blocks) == 3
    assert {block.kernel for block in config.model.blocks} == {5}
    assert (config.optimizer.learning_rate, config.train.epochs) == (3e-4, 5)
    assert config.data.class_names == ("a, b", "c")
    config.train.epochs = 6  # it may be changed
    assert checked(config).train.epochs == 6


@pytest.mark.parametrize("value", ["a,b", "", "it's", "'quoted'", "x=y", "[", "1", "true"])
def test_any_text_arrives_through_a_keyword(value):
    assert load_config("food10", data__dir=value).data.dir == value


@pytest.mark.parametrize("folder", ["experiments", "elsewhere"])
@pytest.mark.parametrize("given", [str, lambda path: path, lambda path: os.path.relpath(path)])
def test_a_file_imports_packaged_experiments_and_its_neighbours(tmp_path, monkeypatch, folder, given):
    place = write(tmp_path / folder, mine=MINE, part_of_mine="EPOCHS = 7")
    monkeypatch.chdir(tmp_path)
    before, modules = list(sys.path), set(sys.modules)
    config = load_config(given(place / "mine.py"), "lr=1e-3")
    assert (config.name, config.train.epochs) == ("mine-lr=1e-3", 7)
    assert sys.path == before
    assert set(sys.modules) - modules <= {"foodjax"}


def test_neighbours_of_the_same_name_in_two_folders_are_two(tmp_path):
    text = MINE.replace("experiments import food10, part_of_mine", "experiments import food10\nimport part_of_mine")
    for number in (3, 4):
        place = write(tmp_path / str(number), mine=text, part_of_mine=f"EPOCHS = {number}")
        assert load_config(place / "mine.py").train.epochs == number


def test_a_file_of_the_same_name_takes_no_packaged_one_s_place(tmp_path, monkeypatch):
    write(tmp_path / "experiments", food10="raise RuntimeError('not mine')", mine=MINE, part_of_mine="EPOCHS = 7")
    monkeypatch.chdir(tmp_path)
    ours = experiments.load("food10_fast").config()
    assert difference(ours, load_config("food10_fast"), ignore=()) is None
    assert load_config("food10").name == "food10"
    with pytest.raises(UserError, match="cannot be read .*RuntimeError: not mine"):
        load_config("experiments/mine.py")  # its own neighbour is the nearer one


def test_an_experiment_without_an_argument_takes_variants(tmp_path):
    place = write(
        tmp_path, mine="from foodjax import load_config\ndef get_config():\n    return load_config('food10')\n"
    )
    assert load_config(place / "mine.py", "blocks=2").name == "food10-blocks=2"


def test_home_is_expanded(tmp_path, monkeypatch):
    write(tmp_path, mine=MINE, part_of_mine="EPOCHS = 1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_config("~/mine.py").name == "mine"


@pytest.mark.parametrize(
    "name,text,message",
    [
        (
            "food11",
            None,
            "--config food11 is none of the packaged experiments; did you mean 'food101'.*: ablate_blocks",
        ),
        ("mine", "", r"none of the packaged experiments; did you mean the file .*mine.py"),
        ("none.py", None, "--config none.py does not exist: needs a file such as experiments/food10.py"),
        ("x/demo.py", None, "does not exist: the packaged demo is --config demo, needs a file"),
        ("./mine.txt", "", "is no Python file"),
        ("mine.py", "x = 1", "defines no get_config"),
        (
            "mine.py",
            "def get_config(arg=''):\n    return 5",
            r"get_config\(\) of .*mine.py returns 5: needs a ConfigDict",
        ),
        ("mine.py", "\n\nx = y", r"--config mine.py cannot be read \(line 3\): NameError: name 'y' is not defined"),
        ("mine.py", "def get_config(arg=''):\n    return y", r"\(line 2\): NameError"),
        ("mine.py", "def f(:", "cannot be read.*SyntaxError"),
        ("mine.py", "import foodjax.variants", "which has moved: write 'from foodjax import variants'"),
        ("mine.py", "from experiments import nothing", "cannot be read .*cannot import name 'nothing'"),
    ],
)
def test_an_experiment_that_cannot_be_loaded_is_one_line(tmp_path, monkeypatch, name, text, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / (name if "." in name else f"{name}.py")).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_config(name)
    assert "\n" not in str(caught.value)


def test_every_module_of_the_package_is_packaged():
    import tomllib

    from helpers import ROOT

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [path.parent.relative_to(ROOT) for path in (ROOT / "foodjax").rglob("__init__.py")]
    assert sorted(listed) == sorted([".".join(folder.parts) for folder in folders] + ["foodjax.experiments"])


def test_load_config_is_quick_and_loads_neither_jax_nor_tensorflow(tmp_path):
    code = "import sys, foodjax; foodjax.load_config('demo'); print(sorted({'jax', 'tensorflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_folder_of_the_packaged_experiments():
    assert (experiments.folder() / "food10.py").is_file()
    assert "food10" in experiments.packaged()
    assert foodjax.load_config is load_config
