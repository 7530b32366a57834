"""The Python of docs/experiment.md runs and gives what the page says."""

import subprocess
import sys

import pytest
from helpers import ROOT, one_device_environment

PROGRAM = """
import doctest, re, sys
blocks = re.findall(r"```python\\n(>>> .*?)```", open(sys.argv[1]).read(), re.S)
test = doctest.DocTestParser().get_doctest("\\n".join(blocks), {}, "experiment.md", sys.argv[1], 0)
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
runner.run(test)
print(len(test.examples), "examples")
sys.exit(runner.failures)
"""


@pytest.mark.slow
def test_the_page_shows_what_the_code_gives(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(ROOT / "docs" / "experiment.md")]
    environment = one_device_environment() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split()[-2]) > 20
    assert (tmp_path / "star.png").stat().st_size > 100
