"""Renders HTML pages from templates: one file each, which loads nothing from the network."""

import functools
import re
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from foodjax.system.text import printable


@functools.cache
def environment() -> Environment:
    """Returns the templates of this package; values are printable and escaped unless a template marks them `safe`."""
    found = Environment(
        loader=PackageLoader("foodjax.report"),
        autoescape=select_autoescape(["j2", "html"], default=True),
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["breakable"] = breakable
    found.globals["asset"] = asset
    return found


def asset(name: str) -> Markup:
    """Returns the text of a style or script of this package, as a template includes it."""
    return Markup((resources.files("foodjax.report") / "templates" / name).read_text())


def breakable(text: str) -> Markup:
    """Returns a name, escaped, that a page may break after each sign in it: class_names and variants have no spaces."""
    return Markup("<wbr>").join(filter(None, re.split(r"(?<=[_/.,=+:-])", printable(text))))


def _printable(value: Any) -> Any:
    return printable(value) if type(value) is str else value  # Markup, which is safe, has a type of its own


def render(template: str, **values: Any) -> str:
    """Renders a template of this package, with style and script in the page."""
    return environment().get_template(template).render(**values)
