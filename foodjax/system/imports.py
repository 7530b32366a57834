"""Packages that may be missing, or broken."""

import importlib

from foodjax.system.errors import first_line


def import_problem(*names: str) -> str:
    """Imports modules; returns why the first of them that cannot be imported cannot, or "" if all can."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken installation raises many types
            return first_line(error)
    return ""
