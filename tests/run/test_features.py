"""The cache of features: kept, found again, damaged, not writable, shared."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import ROOT

from foodjax.run.features import load_or_compute

KEY = {"weights": "ab12", "backbone": "net", "size": 32, "geometry": ["stretch", 1.0, False], "set": "cd34"}
FEATURES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


def never():
    raise AssertionError("the features are computed again")


def load(folder, compute=lambda: FEATURES, key=KEY, num_rows=7, dim=5):
    return load_or_compute(folder, key, num_rows, dim, compute)


def file_of(folder):
    (path,) = folder.glob("features-*.f32")
    return path


def names(folder):
    """Files of a folder, without those of locks."""
    return sorted(name for name in os.listdir(folder) if not name.endswith(".lock"))


def test_features_are_computed_once(tmp_path, capsys):
    first, second = load(tmp_path / "new" / "cache"), load(tmp_path / "new" / "cache", never)
    for found in (first, second):
        np.testing.assert_array_equal(found, FEATURES)
        assert found.dtype == np.float32
        assert not found.flags.writeable
    assert FEATURES.flags.writeable, "the array of whoever computed it"
    assert capsys.readouterr().out == ""
    assert len(names(tmp_path / "new" / "cache")) == 1


def test_the_numbers_come_first_in_the_file(tmp_path):
    load(tmp_path)
    np.testing.assert_array_equal(np.fromfile(file_of(tmp_path), "<f4", 35).reshape(7, 5), FEATURES)


def test_other_floats_are_kept_as_float32(tmp_path):
    import jax.numpy as jnp

    half = jnp.asarray(FEATURES, jnp.bfloat16)
    load(tmp_path, lambda: half)
    np.testing.assert_array_equal(load(tmp_path, never), np.asarray(half.astype(jnp.float32)))


@pytest.mark.parametrize("change", [
    {"weights": "ab13"}, {"size": 33}, {"geometry": ["stretch", 1.0, True]}, {"set": "cd35"}, {"more": None},
])  # fmt: skip
def test_other_keys_are_other_features(tmp_path, change):
    load(tmp_path)
    np.testing.assert_array_equal(load(tmp_path, lambda: FEATURES + 1, key=KEY | change), FEATURES + 1)
    np.testing.assert_array_equal(load(tmp_path, never), FEATURES)
    assert len(names(tmp_path)) == 2


def test_the_order_of_a_key_does_not_matter(tmp_path):
    load(tmp_path)
    np.testing.assert_array_equal(load(tmp_path, never, key=dict(reversed(KEY.items()))), FEATURES)


def test_an_empty_set_has_features(tmp_path):
    for compute in (lambda: FEATURES[:0], never):
        assert load(tmp_path, compute, num_rows=0).shape == (0, 5)


def test_another_shape_is_refused_and_not_kept(tmp_path):
    with pytest.raises(ValueError, match=r"the features are \(7, 5\): needs \(7, 6\)"):
        load(tmp_path, dim=6)
    assert names(tmp_path) == []


def test_an_error_while_computing_leaves_nothing(tmp_path):
    with pytest.raises(AssertionError, match="computed again"):
        load(tmp_path, never)
    assert names(tmp_path) == []


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("damage,message", [
    (lambda content: flipped(content, 3), "its checksum is wrong"),
    (lambda content: flipped(content, 139), "its checksum is wrong"),  # the last number
    (lambda content: flipped(content, 145), "its checksum is wrong"),  # in the line of JSON
    (lambda content: flipped(content, len(content) - 10), "its checksum is wrong"),
    (lambda content: content[:60], "its checksum is wrong"),
    (lambda content: content[:-1], "its checksum is wrong"),
    (lambda content: content[:140], "its checksum is wrong"),
    (lambda content: b"", "its checksum is wrong"),
    (lambda content: content + b"\n", "bytes: needs at most"),
    (lambda content: content.replace(b"cd34", b"cd35"), "its checksum is wrong"),  # of another set
], ids=range(10))  # fmt: skip
def test_a_damaged_file_is_told_and_computed_again(tmp_path, capsys, damage, message):
    load(tmp_path)
    path = file_of(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    np.testing.assert_array_equal(load(tmp_path), FEATURES)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"the features {path} are damaged (")
    assert message in line
    assert line.endswith("): computing them again")
    assert path.read_bytes() == whole
    np.testing.assert_array_equal(load(tmp_path, never), FEATURES)
    assert names(tmp_path) == [path.name]


def test_what_a_killed_process_left_is_replaced(tmp_path, capsys):
    load(tmp_path)
    path = file_of(tmp_path)
    path.rename(tmp_path / f".{path.name}.tmp")
    load(tmp_path)
    np.testing.assert_array_equal(load(tmp_path, never), FEATURES)
    assert names(tmp_path) == [path.name]
    assert capsys.readouterr().out == ""


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path):
    load(tmp_path)
    path, other = file_of(tmp_path), tmp_path / "other"
    other.write_text("mine")
    path.unlink()
    (tmp_path / f".{path.name}.tmp").symlink_to(other)
    load(tmp_path)
    assert other.read_text() == "mine"
    assert not path.is_symlink()
    np.testing.assert_array_equal(load(tmp_path, never), FEATURES)


def check_not_kept(folder, reason, capsys):
    np.testing.assert_array_equal(load(folder), FEATURES)
    (line,) = capsys.readouterr().out.splitlines()
    assert line == f"the features (140 bytes) are not kept in {folder} ({reason})"


def test_a_cache_that_is_no_folder_works_without_keeping(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    check_not_kept(tmp_path / "file", "File exists", capsys)
    check_not_kept(tmp_path / "file" / "cache", "Not a directory", capsys)


@pytest.fixture
def disk(tmp_path):
    """A disk of 64 kB of its own, and a function that mounts it read-only; skips where this user may not mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not sys.platform.startswith("linux"):
        pytest.skip("mounts a tmpfs")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount a tmpfs: {mounted.stderr.strip()}")
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    subprocess.run(["umount", folder], check=True)


def test_a_read_only_cache_is_read_and_others_are_not_kept(disk, capsys):
    folder, make_read_only = disk
    load(folder)
    make_read_only()
    np.testing.assert_array_equal(load(folder, never), FEATURES)
    assert capsys.readouterr().out == ""
    other = load(folder, lambda: FEATURES + 1, key=KEY | {"size": 64})
    np.testing.assert_array_equal(other, FEATURES + 1)
    assert capsys.readouterr().out == f"the features (140 bytes) are not kept in {folder} (Read-only file system)\n"


def test_a_full_disk_is_told_before_anything_is_computed(disk, capsys):
    folder, _ = disk
    features, printed = np.ones((1000, 50), np.float32), []

    def compute():
        printed.append(capsys.readouterr().out)
        return features

    np.testing.assert_array_equal(load(folder, compute, num_rows=1000, dim=50), features)
    assert printed == [f"the features (200.0 kB) are not kept in {folder} (No space left on device)\n"]
    assert names(folder) == []


PROCESS = """
import sys, time
from pathlib import Path
import numpy as np
from foodjax.run.features import load_or_compute

def compute():
    with open(sys.argv[2], "a") as log:
        log.write("computed\\n")
    time.sleep(float(sys.argv[3]))
    return np.full((3, 2), 7, np.float32)

print(load_or_compute(Path(sys.argv[1]), {"set": "a"}, 3, 2, compute).sum())
"""


def start(tmp_path, seconds):
    command = [sys.executable, "-c", PROCESS, tmp_path / "cache", tmp_path / "log", str(seconds)]
    return subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_at_once_compute_once(tmp_path):
    processes = [start(tmp_path, 2) for _ in range(3)]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["42.0\n"] * 3
    assert (tmp_path / "log").read_text() == "computed\n"
    assert len(names(tmp_path / "cache")) == 1


def test_a_process_that_was_killed_while_computing_blocks_no_other(tmp_path):
    killed = start(tmp_path, 600)
    end = time.monotonic() + 120
    while not (tmp_path / "log").exists() and time.monotonic() < end:
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    assert names(tmp_path / "cache")[0].endswith(".tmp")
    assert start(tmp_path, 0).communicate(timeout=120)[0] == "42.0\n"
    assert (tmp_path / "log").read_text() == "computed\ncomputed\n"
    (name,) = names(tmp_path / "cache")
    assert name.endswith(".f32")
