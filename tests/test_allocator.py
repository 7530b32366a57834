import os
import subprocess
import sys

import pytest
from conftest import ROOT

from foodjax.allocator import TUNABLE

PROGRAM = """
import os, sys
print("start", os.getpid(), flush=True)
from foodjax.allocator import use_huge_pages
use_huge_pages()
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
    assert out[-1] == f"{own or TUNABLE} ['--a=b c', 'd']"
