import re
from pathlib import Path

import numpy as np
import pytest

from foodjax.data.mapped import release, release_all

SIDE = 512
COUNT = 40  # pictures of 0.75 MiB


@pytest.fixture
def images(tmp_path):
    written = np.lib.format.open_memmap(
        tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=(COUNT, SIDE, SIDE, 3)
    )
    written[:] = np.arange(COUNT)[:, None, None, None]
    written.flush()
    del written
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def held():
    """Resident MiB of mapped files."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("the system does not tell")
    return int(re.search(r"RssFile:\s+(\d+)", status.read_text())[1]) / 1024


def test_pages_that_were_read_are_given_back_and_come_again(images):
    before = held()
    assert images.sum() == np.arange(COUNT).sum() * SIDE * SIDE * 3
    assert held() > before + 20
    release_all(images)
    assert held() < before + 5
    assert images[7, 3, 4, 2] == 7


def test_they_are_given_back_every_16_mib_of_batches(images):
    images.sum()
    full = held()
    for count in range(1, 4):
        release(images, count, 10)  # of 7.5 MiB
    assert held() < full - 20
    images.sum()
    release(images, 3, 10)
    assert held() > full - 5


def test_arrays_and_files_that_are_written_are_left_alone(tmp_path):
    release_all(np.ones((2, 4, 4, 3), np.uint8))
    release(np.ones((0, 4, 4, 3), np.uint8), 0, 4)
    written = np.lib.format.open_memmap(tmp_path / "new.npy", mode="w+", dtype=np.uint8, shape=(2, 4, 4, 3))
    written[:] = 5
    release_all(written)
    assert (written == 5).all()
