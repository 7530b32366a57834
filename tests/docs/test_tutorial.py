"""docs/tutorial.ipynb is made of docs/tutorial.py, and runs."""

import importlib.util
import os
import re
import sys

import pytest
from helpers import ROOT, one_device_environment

REASON = "needs pip install 'foodjax[notebook]'"
nbformat = pytest.importorskip("nbformat", reason=REASON)
pytest.importorskip("jupytext", reason=REASON)


def load_program():
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "docs" / "notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = load_program()
FIGURES = program.SOURCE.read_text().count("display(")  # of redrawn ones the last stays


def texts_of(notebook):
    """Returns what the cells print and what their last values are, as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]


@pytest.fixture(scope="module")
def kept():
    return nbformat.read(program.NOTEBOOK, as_version=4)


def test_the_notebook_is_made_of_its_source(kept):
    source = program.read_source()
    assert program.sources(kept) == program.sources(source), "python docs/notebook.py makes it again"
    assert [cell.id for cell in kept.cells] == [cell.id for cell in source.cells]


def test_its_outputs_are_whole_small_and_of_no_particular_machine(kept):
    cells = [cell for cell in kept.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in cells]
    assert counts in ([None] * len(cells), list(range(1, len(cells) + 1)))  # it was not run, or run as a whole
    assert {output.output_type for cell in cells for output in cell.outputs} <= {
        "display_data", "execute_result", "stream",
    }  # fmt: skip
    assert len(program.figures(kept)) == (FIGURES if counts[0] else 0)
    content = program.NOTEBOOK.read_text()
    assert len(content) < 400_000
    assert not re.search(r"/(tmp|home|root|work)/", "\n".join(texts_of(kept)))


def test_photographs_of_others_do_not_come_into_docs(monkeypatch, capsys):
    monkeypatch.setenv("FOODJAX_TUTORIAL_DATA", "food-101")
    monkeypatch.setattr(sys, "argv", ["notebook.py"])
    with pytest.raises(SystemExit):
        program.main()
    assert "needs --output FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_the_short_form_runs_and_learns():
    pytest.importorskip("nbclient", reason=REASON)
    pytest.importorskip("ipykernel", reason=REASON)
    pytest.importorskip("onnxruntime", reason="needs pip install 'foodjax[export]'")
    environment = {k: v for k, v in one_device_environment().items() if not k.startswith("FOODJAX_TUTORIAL")}
    paths = [str(ROOT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    notebook = program.execute(program.read_source(), environment, timeout=300)
    text = "\n".join(texts_of(notebook))
    assert "\x1b" not in text  # colours of a terminal
    assert "10,588,458 parameters" in text
    right = float(re.search(r"([\d.]+)% of 300 test images are right", text)[1])
    assert right > 30  # by chance 10
    assert float(re.search(r"largest difference of a probability, in 20 images: (\S+)", text)[1]) < 1e-4
    assert len(program.figures(notebook)) == FIGURES
