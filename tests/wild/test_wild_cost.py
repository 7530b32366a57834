"""What a start costs: one listing, one question for each file, and no quadratic step."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest
from helpers import ROOT
from painted import config_of, folders, load

from foodjax.config.check import checked
from foodjax.data.sources import folders as folders_module
from foodjax.data.sources.base import Example, Listing
from foodjax.data.sources.find import select_classes
from foodjax.run import loop


@pytest.fixture
def asked(monkeypatch):
    """Counts of (function, path) that ask the disk."""
    found = Counter()
    for name in ("stat", "lstat", "scandir", "listdir"):
        real = getattr(os, name)

        def count(path=".", *args, _name=name, _real=real, **options):
            found[_name, os.fspath(path) if not isinstance(path, int) else path] += 1
            return _real(path, *args, **options)

        monkeypatch.setattr(os, name, count)
    return found


def below(asked, root):
    return {key: number for key, number in asked.items() if str(key[1]).startswith(f"{root}/")}


@pytest.mark.parametrize("start", ["cold", "warm"])
@pytest.mark.slow
def test_a_start_lists_each_folder_once_and_asks_once_for_each_file(tmp_path, tiny_config, asked, monkeypatch, start):
    root = folders(
        tmp_path / "data",
        {"train": "train", "test": "test", "val": "validation"},
        counts={"train": 8, "test": 4, "validation": 3},
    )
    tiny_config.data.update(dir=str(root), num_classes=0, image_size=0, batch_size=0, validation_fraction=0.0)
    tiny_config.train.epochs = 1
    if start == "warm":
        loop.train(tiny_config, tmp_path / "first")
    calls = Counter()
    for name in ("list_tree", "file_stats"):
        real = getattr(folders_module, name)
        monkeypatch.setattr(
            folders_module, name, lambda *args, _name=name, _real=real: (calls.update([_name]), _real(*args))[1]
        )
    asked.clear()
    loop.train(tiny_config, tmp_path / "run")
    assert calls == {"list_tree": 1, "file_stats": 1}
    found = below(asked, root)
    assert {key for key in found if key[0] == "stat"} == {("stat", str(path)) for path in root.glob("*/*/*.png")}
    assert {key for key in found if key[0] == "scandir"} == {("scandir", str(p)) for p in root.rglob("*") if p.is_dir()}
    assert set(found.values()) == {1}


CODE = """
import sys, time
from pathlib import Path
from foodjax.data.sources.folders import FolderSource
begin = time.perf_counter()
source = FolderSource(Path(sys.argv[1]))
source.listing(), source.fingerprint(), source.fingerprint()
print(time.perf_counter() - begin)
"""


def test_the_states_of_files_on_a_slow_disk_are_asked_for_at_once(tmp_path):
    library, count = tmp_path / "slow_stat.so", 4000
    try:
        command = ["cc", "-shared", "-fPIC", "-O2", "-o", library, ROOT / "benchmarks" / "slow_stat.c", "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a C compiler for Linux: {error}")
    root = folders(tmp_path / "data", classes=("bars", "ring"), counts={"train": 1, "test": 1})
    for folder in root.glob("*/*"):
        for k in range(1, count // 4):
            os.link(folder / "0.png", folder / f"{k}.png")
    counts = tmp_path / "counts"
    counts.write_bytes(bytes(16))
    environment = {"LD_PRELOAD": library, "ROOT": f"{root}/", "US": 1000, "COUNTS": counts}
    environment = {name if "_" in name else f"SLOW_STAT_{name}": str(value) for name, value in environment.items()}
    environment = os.environ | environment
    done = subprocess.run(
        [sys.executable, "-c", CODE, root], cwd=ROOT, env=environment, text=True, capture_output=True, check=True
    )
    numbers = [int.from_bytes(counts.read_bytes()[i : i + 8], sys.byteorder) for i in (0, 8)]
    if numbers == [0, 0]:
        pytest.skip("this Python asks the system in another way")
    assert numbers == [count, 6]  # train/, test/ and their two classes each
    assert float(done.stdout) < 0.5 * count * 1e-3  # one after the other it would be four seconds and more


def test_the_check_that_each_class_has_a_picture_is_linear():
    names = tuple(f"{k:06}" for k in range(50_000))
    examples = [Example(name, name, name) for name in names]
    begin = time.process_time()
    found = select_classes(Listing(names, examples, [], examples), 0, names)
    assert time.process_time() - begin < 5  # one look through all classes for each takes minutes
    assert len(found.train) == len(names)


def test_a_start_of_a_prepared_set_reads_no_photographs(tmp_path, monkeypatch):
    root = folders(tmp_path / "data")
    load(root, tmp_path / "cache")
    monkeypatch.setattr(folders_module, "read_file", lambda path: pytest.fail(f"{path} was read"))
    assert len(load(root, tmp_path / "cache").train.ids) == 18
    assert checked(config_of(root, tmp_path / "cache")).data.image_size == 2
