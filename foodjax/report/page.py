"""Pages from templates: one file each, that asks the network for nothing."""

import functools
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


@functools.cache
def environment() -> Environment:
    """Returns the templates of this package; what they are given is escaped unless they say `safe`."""
    return Environment(
        loader=PackageLoader("foodjax.report"),
        autoescape=select_autoescape(["j2", "html"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Fills a template of this package; its style and script come with it."""
    folder = resources.files("foodjax.report") / "templates"
    style, sort = ((folder / name).read_text() for name in ("style.css", "sort.js"))
    return environment().get_template(template).render(style=style, sort_script=sort, **values)


def write(path: Path, content: str | bytes) -> None:
    """Replaces a file whole: a reader sees the old one or the new one."""
    encoded = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(encoded)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
