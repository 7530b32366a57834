"""Runs Python in a child process and tells how much memory it took beyond its imports.

python peak.py IMPORTS CODE     in the child; prints the growth, MiB
"""

import os
import subprocess
import sys

from helpers import memory_mib, one_device_environment


def grown(imports: str, code: str, seconds: float = 60) -> tuple[float, str]:
    """Returns the MiB that `code` took at its peak beyond those after `imports`, and the UserError that it raised."""
    command = [sys.executable, __file__, imports, code]
    environment = one_device_environment() | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds)
    assert done.returncode == 0, done.stderr[-3000:]
    number, _, problem = done.stdout.partition("\n")
    return float(number), problem.strip()


def _main() -> None:
    names: dict = {}
    exec(sys.argv[1], names)
    before, problem = memory_mib("VmHWM"), ""
    try:
        exec(sys.argv[2], names)
    except names["UserError"] as error:
        problem = str(error)
    print(memory_mib("VmHWM") - before)
    print(problem)


if __name__ == "__main__":
    _main()
