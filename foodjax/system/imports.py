"""Packages that may be missing, or broken."""

import importlib
import importlib.util

from foodjax.system.errors import first_line


def import_problem(*names: str) -> str:
    """Imports modules; returns why the first of them that cannot be imported cannot, or "" if all can."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken installation raises many types
            return first_line(error)
    return ""


def is_missing(name: str) -> bool:
    """Returns whether a top-level module cannot be found; imports nothing, so that one that is found may be broken."""
    try:
        return importlib.util.find_spec(name) is None
    except Exception:  # of a finder
        return True
