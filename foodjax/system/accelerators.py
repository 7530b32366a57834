"""Accelerators of the machine that JAX leaves unused, since the package for them is not installed."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

# The driver of CUDA 13 begins here; older ones have CUDA 12.
_FIRST_OF_CUDA13 = 580
_NVIDIA_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
_GOOGLE = "0x1ae0"  # as a PCI vendor
_TPUS = {"0x0027", "0x0056", "0x005e", "0x0062", "0x0063", "0x006f", "0x0076"}  # its devices, v2 to 7x


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def unused(root: Path = Path("/"), is_installed: Callable[[str], bool] = _is_installed) -> str:
    """Returns a line on a GPU or TPU that is here and whose package of JAX is not; "" where there is none.

    Args:
        root: the folder that holds `dev`, `proc` and `sys`.
        is_installed: whether a package can be imported.
    """
    if _has_nvidia(root) and not any(map(is_installed, _NVIDIA_PLUGINS)):
        driver = _driver(root)
        extra = "cuda12" if driver and driver < _FIRST_OF_CUDA13 else "cuda13"
        return f"an NVIDIA GPU is here, and JAX cannot use it: pip install 'foodjax[{extra}]'"
    if _has_tpu(root) and not is_installed("libtpu"):
        return "a TPU is here, and JAX cannot use it: pip install 'foodjax[tpu]'"
    return ""


def _has_nvidia(root: Path) -> bool:
    """Returns whether this process may use a GPU: in a container that may not, the driver alone is seen."""
    return any((root / "dev").glob("nvidia[0-9]*")) or (root / "dev" / "dxg").exists()  # the latter: Windows' Linux


def _driver(root: Path) -> int:
    """Returns the first number of the version of NVIDIA's driver; 0 where it is not known."""
    found = re.search(r"\b(\d{3,4})\.\d+", _read(root / "proc" / "driver" / "nvidia" / "version"))
    return int(found[1]) if found else 0


def _has_tpu(root: Path) -> bool:
    devices = (root / "sys" / "bus" / "pci" / "devices").glob("*")
    return any(_read(path / "vendor") == _GOOGLE and _read(path / "device") in _TPUS for path in devices)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
