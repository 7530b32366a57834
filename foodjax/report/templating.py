"""Pages from templates: one file each, that asks the network for nothing."""

import functools
from importlib import resources
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
