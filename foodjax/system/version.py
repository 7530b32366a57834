"""The version of the package."""

from importlib import metadata


def version() -> str:
    """Returns the version that is installed; "unknown" in a checkout that is not."""
    try:
        return metadata.version("foodjax")
    except metadata.PackageNotFoundError:
        return "unknown"
