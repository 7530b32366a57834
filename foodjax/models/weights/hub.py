"""Downloads weights from the Hugging Face hub with huggingface_hub, and checks their hash, which the package does not.

The package reads HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN, HF_HOME and the rest, and caches what it downloads.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from foodjax.models.weights.unreadable import Unreadable
from foodjax.system import files
from foodjax.system.errors import first_line
from foodjax.system.imports import import_problem
from foodjax.system.text import printable

PREFIX = "hf://"
FILES = ("model.safetensors", "pytorch_model.bin")  # the first that the repository has is taken
MAX_CARD = 2**20  # bytes of README.md
_NAME = re.compile(r"hf://([\w.-]{1,96}/[\w.-]{1,96})(?:@([\w./-]{1,200}))?", re.ASCII)
_CACHES = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")  # variables that name the cache


class Download(NamedTuple):
    """A file of the hub's cache; `etag` is the hub's name of its content, `commit` the revision's."""

    path: Path
    etag: str
    commit: str


def parse(source: str) -> tuple[str, str | None]:
    """Returns the repository and the revision of hf://owner/name[@revision].

    Raises:
        Unreadable: the text has another form.
    """
    found = _NAME.fullmatch(source)
    if not found:
        raise Unreadable("is no name of weights on the hub: needs hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
    return found[1], found[2]


def fetch(repository: str, revision: str | None) -> Download:
    """Returns model.safetensors of a repository, else pytorch_model.bin; from the cache where it has the file.

    Raises:
        Unreadable: huggingface_hub is missing, or the file cannot be had: not found, gated, no network, short.
    """
    if problem := import_problem("huggingface_hub"):
        raise Unreadable(f"needs the package huggingface_hub ({problem}): pip install 'foodjax[pretrained]'")
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    offline: Exception | None = None
    for name in FILES:
        try:
            if found := _download(repository, name, revision, local_files_only=offline is not None):
                return found
        except LocalEntryNotFoundError as error:  # no network: the other file may still be in the cache
            offline = offline or error
        except EntryNotFoundError:
            continue
        except Exception as error:  # of HTTP, of the disk and of the package
            raise Unreadable(_why(error, repository, revision)) from None
    if offline:
        raise Unreadable(_why_not_here(offline))
    raise Unreadable(f"has neither {FILES[0]} nor {FILES[1]}: needs a repository with one of them")


def check(download: Download, content: bytes) -> None:
    """Compares content with the hash that the hub gave: SHA-256 of large files, git's SHA-1 of small ones.

    Raises:
        Unreadable: it is another one, or the hub gave none.
    """
    if re.fullmatch("[0-9a-f]{64}", download.etag):
        found = hashlib.sha256(content).hexdigest()
    elif re.fullmatch("[0-9a-f]{40}", download.etag):
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    else:
        raise Unreadable(f"has no hash on the hub, but {printable(download.etag[:80])}: needs a hub that gives one")
    if found != download.etag:
        raise Unreadable(f"is damaged: its hash is {found[:16]}..., on the hub {download.etag[:16]}...: "
                         f"delete {download.path.resolve()} and try again")  # fmt: skip


def licence(repository: str, commit: str) -> str:
    """Returns the licence in the model card's front matter, or "unknown", also where the card cannot be had."""
    try:
        found = _download(repository, "README.md", commit)
        return parse_licence(files.read_text(found.path, "replace", MAX_CARD)) if found else "unknown"
    except Exception:  # the weights are there: they are not refused for the card
        return "unknown"


def parse_licence(card: str) -> str:
    r"""Returns `license` of the front matter between two lines ---; of "other" its name; "unknown" without one.

    Example:
        >>> parse_licence("---\nlicense: apache-2.0\n---\n")
        'apache-2.0'
    """
    front = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---", card, re.DOTALL)
    entries: dict[str, list[str]] = {}
    key = ""
    for line in front[1].splitlines() if front else []:
        if named := re.match(r"([\w-]+):(.*)", line):
            key, value = named[1], re.sub(r"\s#.*", "", named[2])
            entries[key] = value.strip().strip("[]").split(",")
        elif key and (item := re.match(r"\s*-(.*)", line)):
            entries[key].append(item[1])
    found = {key: ", ".join(filter(None, (v.strip().strip("'\"") for v in values))) for key, values in entries.items()}
    name = found.get("license", "")
    if name == "other":
        name = found.get("license_name") or name
    return printable(name[:100]) or "unknown"


def _download(repository: str, name: str, revision: str | None, *, local_files_only: bool = False) -> Download | None:
    """Returns a file; None where the cache knows that the revision, a commit, does not have it."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    # Without a home the package would make a folder "~" where the program runs.
    own = None if files.is_home_known() or any(map(os.environ.get, _CACHES)) else files.user_cache() / "hub"
    if revision and re.fullmatch("[0-9a-f]{40}", revision):  # a commit never changes
        cached = try_to_load_from_cache(repository, name, cache_dir=own, revision=revision)
        if cached is not None and not isinstance(cached, str):
            return None
    path = Path(hf_hub_download(repository, name, revision=revision, cache_dir=own, local_files_only=local_files_only))
    # snapshots/COMMIT/NAME is a link to blobs/ETAG.
    etag = Path(os.readlink(path)).name if path.is_symlink() else _etag(repository, name, path.parent.name)
    return Download(path, etag, path.parent.name)


def _etag(repository: str, name: str, commit: str) -> str:
    """Asks the hub for the hash of a file: of a disk without links."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    return get_hf_file_metadata(hf_hub_url(repository, name, revision=commit)).etag or ""


def _why(error: Exception, repository: str, revision: str | None) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return f"is gated: accept its terms on the hub's page of {repository}, then log in: hf auth login, or HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return "is not on the hub, or private: needs another name, or the right to read it (hf auth login, or HF_TOKEN)"
    if isinstance(error, RevisionNotFoundError):
        return f"is not on the hub: the repository has no revision {revision}"
    return f"cannot be downloaded: {printable(first_line(error))}"


def _why_not_here(error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.errors import OfflineModeIsEnabled

    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    if isinstance(cause, OfflineModeIsEnabled):
        return "is not in the hub's cache, and HF_HUB_OFFLINE is set: needs one download with the network"
    return f"is not in the hub's cache, and {constants.ENDPOINT} does not give it: {printable(first_line(cause))}"
