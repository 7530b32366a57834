"""The compiled kernels: made once for this machine by its C++ compiler, kept in the user's cache, given to XLA.

Without such a CPU or a compiler there are none, and XLA's own convolution takes their place.
"""

import ctypes
import functools
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import jax

from foodjax.system import cpu
from foodjax.system.errors import first_line
from foodjax.system.files import user_cache

# What a CPU can do, the most first -> the features that it needs, as Linux and the compiler name them.
LEVELS = {
    "avx512_bf16": ("avx512f", "avx512bw", "avx512vl", "avx512_bf16"),
    "avx512": ("avx512f", "avx512bw", "avx512vl"),
}
_SOURCE = Path(__file__).parent / "conv.cc"
_COMPILERS = ("c++", "g++", "clang++")
_SYMBOLS = {
    "conv": "FoodjaxConv",
    "pooled_conv": "FoodjaxPooledConv",
    "kernel_gradient": "FoodjaxConvKernelGradient",
}
_TIMEOUT = 300  # seconds; it takes 3


def level_of(features: frozenset[str]) -> str:
    """Returns the level of a CPU with these features; "" for none.

    Example:
        >>> level_of(frozenset({"avx2", "avx512f", "avx512bw", "avx512vl"}))
        'avx512'
    """
    return next((name for name, needed in LEVELS.items() if features.issuperset(needed)), "")


def level() -> str:
    """Returns the level of this machine's CPU, if JAX computes on it; "" for none."""
    return level_of(cpu.flags()) if sys.platform == "linux" and jax.default_backend() == "cpu" else ""


def build() -> None:
    """Begins to compile the kernels, if they are not there yet, beside what the program does next."""
    if level_of(cpu.flags()) and not _library(level_of(cpu.flags())).exists():
        threading.Thread(target=load, daemon=True).start()


_lock = threading.Lock()


def load() -> str:
    """Gives XLA the kernels; compiles them first where that has not been done. A second call does nothing.

    Returns:
        Why there are none, in a few words; "" where they can be used.
    """
    with _lock:
        return _load()


@functools.cache
def _load() -> str:
    if not level():
        return "this CPU has no AVX-512"
    path = _library(level())
    try:
        if not path.exists():
            _compile(path)
        library = ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError, _NotCompiledError) as error:
        return first_line(error)
    for name, symbol in _SYMBOLS.items():
        jax.ffi.register_ffi_target(target(name), jax.ffi.pycapsule(getattr(library, symbol)), platform="cpu")
    return ""


class _NotCompiledError(Exception):
    """There is no compiler, or it fails."""


@functools.cache
def _digest() -> str:
    """Returns a digest of what the kernels are made from."""
    flags = " ".join(_flags(level_of(cpu.flags())))
    made_with = f"{flags} {importlib.metadata.version('jaxlib')}"
    return hashlib.sha256(_SOURCE.read_bytes() + made_with.encode()).hexdigest()[:16]


def target(name: str) -> str:
    """Returns the name by which XLA knows a kernel; programs that it keeps name the source's version too."""
    return f"foodjax_{name}_{_digest()}"


def _library(level: str) -> Path:
    return user_cache() / "native" / f"{_digest()}-{level}.so"


def _flags(level: str) -> list[str]:
    return ["-std=c++17", "-O3", "-fPIC", "-shared", *(f"-m{flag.replace('_', '')}" for flag in LEVELS.get(level, ()))]


def _compile(path: Path) -> None:
    """Compiles the kernels; a process that is killed meanwhile leaves no half of a library."""
    given = os.environ.get("CXX", "").split()  # with options, perhaps
    names = given[:1] or _COMPILERS
    compiler = next((found for name in names if (found := shutil.which(name))), None)
    if compiler is None:
        raise _NotCompiledError(f"no C++ compiler ({', '.join(names)})")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        made = Path(folder) / "conv.so"
        command = [compiler, *given[1:], *_flags(level()), "-I", jax.ffi.include_dir(), str(_SOURCE), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line]
            raise _NotCompiledError(f"{compiler} cannot compile them: {(errors or ['no reason given'])[0][:200]}")
        made.replace(path)
