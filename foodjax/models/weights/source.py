"""Loads pretrained weights of PyTorch's world: a .safetensors or .pth file, or hf://OWNER/NAME. Executes nothing.

The file is read once; its hashes and its arrays come from the same bytes.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from foodjax.models.weights import hub
from foodjax.models.weights.safetensors_file import licence, read_safetensors
from foodjax.models.weights.torch_file import read_torch
from foodjax.models.weights.unreadable import Unreadable
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import read_bytes, to_path

MAX_BYTES = 2**32  # of a file; it is held in memory
TORCH_SUFFIXES = (".pth", ".pt", ".bin")
SUFFIXES = (".safetensors", *TORCH_SUFFIXES)
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
_HASHED = re.compile(r".*-([0-9a-f]{8,64})")  # torch.hub's names: NAME-FIRST DIGITS OF THE SHA-256.pth


class Weights(NamedTuple):
    """The arrays of a file by PyTorch's names and in its layouts, and where they come from.

    `arrays` are read-only; `origin` is the file's path or hf://OWNER/NAME@COMMIT; `sha256` is of the file, 64 hex
    digits; `licence` is what the model card or the file's metadata says, or "unknown".
    """

    arrays: dict[str, np.ndarray]
    origin: str
    sha256: str
    licence: str


def is_weights(source: str) -> bool:
    """Returns whether a text names weights, and no workdir: hf://..., or a file's name with a suffix of SUFFIXES."""
    return source.startswith(hub.PREFIX) or source.lower().endswith(SUFFIXES)


def load(source: str | Path, flag: str) -> Weights:
    """Reads weights.

    Args:
        source: a text for which `is_weights` is true.
        flag: the config key that has it, for messages: "model.init_from".

    Raises:
        UserError: they cannot be read, in one line.
    """
    try:
        return _load_from_hub(str(source)) if str(source).startswith(hub.PREFIX) else _load_file(to_path(source))
    except Unreadable as error:
        raise UserError(f"{flag}={source} {error}") from None


def _load_file(path: Path) -> Weights:
    if path.suffix.lower() not in SUFFIXES:
        raise Unreadable(f"is no name of weights: needs hf://OWNER/NAME, or a file {', '.join(SUFFIXES)}")
    content = _read(path)
    sha256 = hashlib.sha256(content).hexdigest()
    named = _HASHED.fullmatch(path.stem) if path.suffix.lower() in TORCH_SUFFIXES else None
    if named and not sha256.startswith(named[1]):
        raise Unreadable(
            f"is another file than its name says, whose SHA-256 begins with {sha256[: len(named[1])]}: download it "
            f"again, or rename it if {named[1]} is no hash"
        )
    arrays, of_file = _parse(content, path)
    return Weights(arrays, str(path), sha256, of_file)


def _load_from_hub(source: str) -> Weights:
    repository, revision = hub.parse(source)
    download = hub.fetch(repository, revision)
    content = _read(download.path)
    hub.check(download, content)
    arrays, of_file = _parse(content, download.path)
    of_card = hub.licence(repository, download.commit)
    return Weights(
        arrays,
        f"{hub.PREFIX}{repository}@{download.commit}",
        hashlib.sha256(content).hexdigest(),
        of_file if of_card == "unknown" else of_card,
    )


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise Unreadable("is a folder: needs a file")
        content = read_bytes(path, MAX_BYTES)
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("is not there: needs a file") from None
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    except ValueError as error:  # it is too large, or its name has a null
        raise Unreadable(f"cannot be read: {first_line(error)}") from None
    if not content:
        raise Unreadable("is empty: needs weights")
    if content.startswith(b"version https://git-lfs"):
        raise Unreadable("is a pointer of Git LFS, not the weights themselves: needs git lfs pull")
    return content


def _parse(content: bytes, path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Returns the arrays without the prefixes of wrappers, and the licence that the file itself names."""
    if path.suffix.lower() == ".safetensors":
        arrays, of_file = read_safetensors(content), licence(content)
    else:
        arrays, of_file = read_torch(content), "unknown"
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in arrays):
            arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays, of_file
