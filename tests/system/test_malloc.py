import os
import platform
import subprocess
import sys

import pytest
from helpers import ROOT

from foodjax.system.malloc import TUNABLES

PROGRAM = """
import os, sys
print("start", os.getpid(), flush=True)
from foodjax.system.malloc import tune_malloc
tune_malloc()
print(os.environ.get("GLIBC_TUNABLES"), sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is glibc's")
@pytest.mark.parametrize("own,starts", [(None, 2), ("glibc.malloc.arena_max=2", 1)])
def test_the_program_starts_again_once_and_keeps_its_arguments(tmp_path, own, starts):
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"} | {"PYTHONPATH": str(ROOT)}
    if own:
        environment["GLIBC_TUNABLES"] = own
    command = [sys.executable, str(tmp_path / "program.py"), "--a=b c", "d"]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert out[:-1] == [out[0]] * starts  # the same process
    assert out[-1] == f"{own or TUNABLES} ['--a=b c', 'd']"


TWICE = """
import resource, threading
counts = []

def fill():
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        x = bytearray(200 << 20)
        x[:: 1 << 12] = bytes(len(x) >> 12)  # touches every page
        counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        del x

thread = threading.Thread(target=fill)
thread.start()
thread.join()
print(*counts)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_a_large_buffer_of_any_thread_is_kept_for_the_next():
    def faults(**more):
        command = [sys.executable, "-c", TWICE]
        out = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=True).stdout
        return [int(count) for count in out.split()]

    assert faults(GLIBC_TUNABLES="glibc.malloc.hugetlb=1")[1] >= 100
    assert faults(GLIBC_TUNABLES=TUNABLES)[1] < 10


APART = """
import ctypes, sys
from foodjax.system import malloc
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
if sys.argv[1] == "apart":
    malloc.keep_small_blocks_apart()
step = 600 << 20
places = set()
for _ in range(5):
    place = libc.malloc(step)
    places.add(place)
    between = libc.malloc(2 << 20)  # of another thread, while the step computes
    libc.free(place)
    libc.malloc(2 << 20)  # before the next step; both stay
print(len(places))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_small_blocks_leave_the_place_of_a_step_whole():
    def places(how):
        command, env = [sys.executable, "-c", APART, how], {**os.environ, "GLIBC_TUNABLES": TUNABLES}
        return int(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)

    assert places("not") > 1
    assert places("apart") == 1


TRIM = """
import ctypes
from foodjax.system import malloc
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20
x = bytearray(200 << 20)
x[:: 1 << 12] = bytes(len(x) >> 12)
wall = bytearray(1 << 20)
before = resident()
del x
kept = resident()
malloc.return_free_memory()
print(before - kept, before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_free_memory_is_kept_until_it_is_returned():
    command, env = [sys.executable, "-c", TRIM], {**os.environ, "GLIBC_TUNABLES": TUNABLES}
    kept, returned = map(
        int, subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()
    )
    assert kept < 20
    assert returned > 180
