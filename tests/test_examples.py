"""The examples in the docstrings of the public names run, one after the other, in a folder of the user's own."""

import json
import subprocess
import sys

import pytest
from helpers import one_device_environment

import foodjax

# Those of a run build on the example of train.
ORDER = ["load_config", "load_data", "train", "evaluate", "Predictor", "compare"]
NAMES = [*ORDER, *sorted(set(foodjax.__all__) - {"__version__", *ORDER})]
PROGRAM = """
import doctest, json, sys
import foodjax
runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
finder, found = doctest.DocTestFinder(recurse=False), {}
for name in sys.argv[1:]:
    for test in finder.find(getattr(foodjax, name), name, module=False, globs={}):
        found[name] = tuple(runner.run(test))
print(json.dumps(found), file=sys.stderr)
"""


@pytest.mark.slow
def test_every_public_name_has_an_example_that_runs(tmp_path):
    command = [sys.executable, "-c", PROGRAM, *NAMES]
    environment = one_device_environment()
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400)
    found = json.loads(done.stderr.splitlines()[-1])
    assert {name: failed for name, (failed, _) in found.items()} == dict.fromkeys(NAMES, 0), done.stdout
    assert all(tried >= 2 for _, tried in found.values())
