"""ONNX Runtime for browsers: onnxruntime-web, one version, from the npm registry or from a file of the user."""

import base64
import contextlib
import hashlib
import http.client
import io
import os
import tarfile
import urllib.parse
import urllib.request
from pathlib import Path
from typing import NamedTuple

from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line
from foodjax.system.files import PathLike, read_bytes, to_path, user_cache, write_bytes
from foodjax.system.text import printable
from foodjax.system.version import version

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# Of the tarball, as `npm view onnxruntime-web@1.30.0 dist` prints them.
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
BYTES = 33_106_585
# The module with the glue of WebAssembly in it, and the WebAssembly: for CPUs, without WebGPU and WebGL.
_CODE, _WASM = "package/dist/ort.wasm.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.wasm"
_REGISTRY = "https://registry.npmjs.org"
_TIMEOUT = 30  # seconds without a byte


class Runtime(NamedTuple):
    """What a page needs to run an ONNX file.

    Attributes:
        code: a module of JavaScript.
        wasm: the WebAssembly that it starts.
    """

    code: bytes
    wasm: bytes


def load(tarball: PathLike | None = None) -> Runtime:
    """Returns the runtime; what is downloaded is kept in the user's cache.

    Args:
        tarball: a file that `npm pack` wrote; None takes the cache's, or downloads it from the registry that npm would
            ask (npm_config_registry in the environment, else the public one).

    Raises:
        UserError: the file is another one, or cannot be read; or the download fails.
    """
    if tarball is not None:
        path = to_path(tarball)
        try:
            content = read_bytes(path, BYTES)
        except OSError as error:
            raise UserError(f"cannot read --runtime {path}: {error.strerror}: needs {_wanted()}") from None
        except ValueError:  # larger
            content = b""
        if not _is_right(content):
            raise UserError(f"--runtime {path} is another file, by its SHA-512: needs {_wanted()}")
        return _unpack(content)
    kept = user_cache() / "npm" / f"{PACKAGE}-{VERSION}.tgz"
    with contextlib.suppress(OSError, ValueError):
        if _is_right(content := read_bytes(kept, BYTES)):
            return _unpack(content)
    content = _download()
    _keep(kept, content)
    return _unpack(content)


def registry() -> str:
    """Returns the address of the registry that npm's variable in the environment names, else of the public one."""
    named = [value for name, value in os.environ.items() if name.lower() == "npm_config_registry" and value]
    return (named or [_REGISTRY])[0].rstrip("/")


def _wanted() -> str:
    return f"the file that `npm pack {PACKAGE}@{VERSION}` writes, where there is a network"


def _is_right(content: bytes) -> bool:
    return INTEGRITY == "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def _download() -> bytes:
    base = registry()
    parts = urllib.parse.urlsplit(base)
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        raise UserError(
            f"npm_config_registry in the environment is no address of http or https, or has a password in it: needs "
            f"one without, or --runtime FILE, {_wanted()}"
        )
    host = printable(parts.netloc)
    say(f"downloading {PACKAGE} {VERSION} ({BYTES / 1e6:.0f} MB) from {host}, once", flush=True)
    request = urllib.request.Request(f"{base}/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz")
    request.add_header("User-Agent", f"foodjax/{version()}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:
            content = reply.read(BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None)  # of an URLError: the error below it
        raise _failed(host, first_line(reason if isinstance(reason, Exception) else error)) from None
    if not _is_right(content):
        raise _failed(host, f"what came, {len(content):,} bytes, is another file, by its SHA-512")
    return content


def _failed(host: str, reason: str) -> UserError:
    return UserError(
        f"cannot download {PACKAGE} {VERSION} from {host}: {printable(reason)}: needs the network once, or --runtime "
        f"FILE, {_wanted()}"
    )


def _keep(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except OSError as error:
        say(f"cannot keep {path} ({error.strerror}): the next export downloads it again")


def _unpack(content: bytes) -> Runtime:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            if member.name in (_CODE, _WASM) and (file := archive.extractfile(member)):
                found[member.name] = file.read()
    return Runtime(found[_CODE], found[_WASM])
