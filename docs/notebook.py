"""Makes docs/tutorial.ipynb from docs/tutorial.py: runs it, and keeps text and figures.

    python docs/notebook.py                       # the short form, into docs/tutorial.ipynb
    python docs/notebook.py --no-run              # the same without text and figures: takes a second
    FOODJAX_TUTORIAL_DATA=food-101 python docs/notebook.py --output long.ipynb --figures figures

Needs `pip install 'foodjax[export,notebook]'`. Photographs of others do not belong in docs/: give --output for these.
"""

import argparse
import base64
import io
import os
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from PIL import Image

SOURCE = Path(__file__).with_name("tutorial.py")
NOTEBOOK = Path(__file__).with_name("tutorial.ipynb")


def read_source() -> Any:
    """Returns the notebook of the source, without outputs. Its cells are numbered, so that it is always the same."""
    notebook = jupytext.read(SOURCE)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    notebook.metadata.pop("jupytext", None)
    return notebook


def execute(notebook: Any, environment: dict[str, str] | None = None, timeout: int = 600) -> Any:
    """Runs a notebook and returns it with its outputs.

    Args:
        notebook: it is changed.
        environment: of its kernel; None: that of this process.
        timeout: of each cell, seconds.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    from nbclient import NotebookClient  # half a second, for those who run it alone

    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", record_timing=False)
    client.execute(env=dict(os.environ) if environment is None else environment)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


def shrink(notebook: Any) -> None:
    """Gives every figure 256 colours of its own: a third of the bytes."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if "image/png" in output.get("data", {}):
            buffer = io.BytesIO()
            picture = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"]))).convert("RGB")
            picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
            output["data"]["image/png"] = base64.b64encode(buffer.getvalue()).decode()


def sources(notebook: Any) -> list[tuple[str, str]]:
    """Returns the kind and the text of each cell: what a notebook and its source have in common."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def figures(notebook: Any) -> list[bytes]:
    """Returns the figures of a notebook, as PNG files, in their order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    found = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [base64.b64decode(picture) for picture in found]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=NOTEBOOK, help="file that is written")
    parser.add_argument("--figures", type=Path, help="folder that gets the figures as PNGs")
    parser.add_argument("--no-run", action="store_true", help="write the cells alone")
    args = parser.parse_args()
    if args.output == NOTEBOOK and os.environ.get("FOODJAX_TUTORIAL_DATA"):
        parser.error("FOODJAX_TUTORIAL_DATA is set, whose photographs do not belong in docs/: needs --output FILE")
    notebook = read_source() if args.no_run else execute(read_source())
    shrink(notebook)
    nbformat.write(notebook, args.output)
    print(f"{args.output}: {args.output.stat().st_size:,} bytes")
    if args.figures:
        args.figures.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(figures(notebook), start=1):
            (args.figures / f"{number:02}.png").write_bytes(picture)


if __name__ == "__main__":
    main()
