"""What an evaluation shows the network of a picture, and the folder of an evaluation that shows something else.

A run is evaluated as its config says, in evaluation/. With another `eval.size`, `eval.crop_area` or `eval.flip` the
evaluation has a folder of its own, such as evaluation-size96-flip/, and its own temperature in it.
"""

from pathlib import Path
from typing import Any

from foodjax.config.keys import Config
from foodjax.workdir.description import read_description


def changes(config: Config, workdir: Path) -> dict[str, Any]:
    """Returns the values of the view in which an evaluation differs from its run, by the names of the keys.

    Args:
        config: of the evaluation.
        workdir: of the run.

    Raises:
        UserError: the workdir holds no run.
    """
    stored, _ = read_description(workdir)
    views = [{"size": c.eval_size, "crop_area": c.eval.crop_area, "flip": c.eval.flip} for c in (config, stored)]
    return {f"eval.{name}": value for name, value in views[0].items() if value != views[1][name]}


def words(changed: dict[str, Any]) -> str:
    """Returns such values as a text: eval.size=96, eval.flip=True."""
    return ", ".join(f"{key}={value}" for key, value in changed.items())


def label(changed: dict[str, Any]) -> str:
    """Returns such values as part of a folder's name: size96-flip; "" for none."""
    parts = []
    for key, value in changed.items():
        name = key.removeprefix("eval.")
        parts.append(("" if value else "no") + name if isinstance(value, bool) else f"{name}{value:g}")
    return "-".join(parts)


def place(base: Path, changed: dict[str, Any]) -> Path:
    """Returns the folder for the temperature of a view, in the workdir or in the folder that gets the files instead."""
    return base / f"evaluation-{label(changed)}" if changed else base
