"""The house: imports flow one way, by folder; nothing but the doors stands on top; JAX goes without TensorFlow."""

import ast
import subprocess
import sys

import pytest
from helpers import ROOT

ORDER = [
    *("system", "config", "data", "models", "steps", "workdir", "evaluation", "run"),
    *("report", "exchange", "study", "serve", "commands", "cli"),
]
APART = [("models", "data")]  # of one rank: neither imports the other


def test_imports_flow_one_way():
    package = ROOT / "foodjax"
    assert {p.stem for p in package.glob("*.py")} == {"__init__", "__main__", "cli"}
    assert {p.parent.name for p in package.glob("*/__init__.py")} | {"cli"} == set(ORDER)
    for path in set(package.rglob("*.py")) - {package / "__init__.py", package / "__main__.py"}:
        folder = path.relative_to(package).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text())):  # imports inside functions too
            named = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in getattr(node, "names", [])]
            for module in named if isinstance(node, ast.Import | ast.ImportFrom) else []:
                if module.split(".")[0] == "foodjax":
                    used = (*module.split("."), *(a.name for a in node.names))[1]
                    assert used == folder or ORDER.index(used) < ORDER.index(folder), f"{path} imports {module}"
                    assert (folder, used) not in APART, f"{path} imports {module}"


@pytest.mark.slow
def test_jax_modules_do_not_import_tensorflow():
    code = (
        "import sys; import foodjax.models.convnet, foodjax.steps.step, foodjax.workdir.checkpoints, "
        "foodjax.run.evaluate, foodjax.workdir.logs, foodjax.data.prepare, foodjax.run.loop, foodjax.run.find_lr; "
        "assert not {'tensorflow', 'tensorflow_datasets', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
