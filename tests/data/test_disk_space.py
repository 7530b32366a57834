"""A full disk while photographs are prepared."""

import os
import subprocess
import sys

import pytest
from helpers import ROOT, make_food_root

CODE = """
import resource, sys
from experiments import demo
from foodjax.config.check import checked
from foodjax.data.sets import load_data
from foodjax.system.errors import UserError
if int(sys.argv[3]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
config = demo.get_config()
config.data.update(dir=sys.argv[1], cache_dir=sys.argv[2], num_classes=0, image_size=256, batch_size=2)
try:
    load_data(config)
except UserError as error:
    print(error)
    sys.exit(3)
"""


def prepare(photos, cache, limit=0):
    return subprocess.run(
        [sys.executable, "-c", CODE, str(photos), str(cache), str(limit)], cwd=ROOT, text=True, capture_output=True
    )


def check(done, cache):
    assert done.returncode == 3, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"the prepared pictures need 3.5 MB in {cache}, where ")
    assert "make room, or set data.cache_dir to a folder on a larger disk" in line
    assert [name for name in os.listdir(cache) if not name.endswith(".lock")] == []


def test_a_limit_of_file_sizes_is_told_before_anything_is_decoded(tmp_path):
    photos = make_food_root(tmp_path / "food-101")  # 18 to train on: 18 x 256 x 256 x 3 bytes
    (photos / "images" / "bars" / "0.jpg").write_bytes(b"broken")  # told later, if anything were decoded
    check(prepare(photos, tmp_path / "cache", limit=10**6), tmp_path / "cache")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts a tmpfs")
def test_a_full_disk_is_told_before_anything_is_decoded(tmp_path):
    photos, cache = make_food_root(tmp_path / "food-101"), tmp_path / "cache"
    cache.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", cache], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no right to mount a tmpfs: {mounted.stderr.strip()}")
    try:
        done = prepare(photos, cache)
        check(done, cache)
        assert "where 2.1 MB are free (No space left on device)" in done.stdout
    finally:
        subprocess.run(["umount", cache], check=True)


def test_the_space_of_an_array_is_claimed(tmp_path):
    from foodjax.data.disk_space import create_array

    array = create_array(tmp_path / "x.npy", (1000, 8, 8, 3))
    assert (tmp_path / "x.npy").stat().st_blocks * 512 >= 192_000  # without the claim the file is a hole
    array[:] = 7
    array.flush()
    assert (array == 7).all()
