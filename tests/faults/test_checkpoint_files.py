"""Broken checkpoint files; the long form is `python tests/faults/checkpoint_files.py --folder DIR --trials 1000`."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import one_device_environment


@pytest.mark.slow
def test_a_broken_file_of_a_checkpoint_costs_a_line_at_most(tmp_path):
    script = Path(__file__).with_name("checkpoint_files.py")
    command = [sys.executable, str(script), "--folder", str(tmp_path), "--trials", "60"]
    environment = one_device_environment()
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert result.returncode == 0, result.stderr[-5000:]
    assert not result.stderr
    assert "continued" in result.stdout
    assert "went back" in result.stdout
