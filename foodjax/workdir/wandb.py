"""The writer for Weights & Biases. A run that continues is the same run there, with every step once.

`wandb login` or WANDB_API_KEY gives the key; WANDB_PROJECT, WANDB_ENTITY, WANDB_RUN_GROUP and the like are obeyed, and
WANDB_MODE=offline keeps everything in the workdir until `wandb sync` uploads it.
"""

import contextlib
import html
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from foodjax.config.check import tree
from foodjax.system import files
from foodjax.system.console import say
from foodjax.system.errors import UserError, first_line
from foodjax.workdir import wandb_file
from foodjax.workdir.writer import Opened

PROJECT = "foodjax"  # where WANDB_PROJECT names none
_FINISH_SECONDS = 30.0  # for what is still to be uploaded at the end: schedulers wait no longer


class WandbRun:
    """The writer for W&B. Its files are in the workdir's `wandb/`, and its id in `wandb.json`.

    Attributes:
        steps: whose numbers the run has: online those that the server knows, offline those in the workdir's files.
    """

    def __init__(self, opened: Opened):
        """Begins the run, or continues the one whose id the workdir has.

        Raises:
            UserError: W&B knows no user, or cannot be reached.
        """
        import wandb  # whoever imports this module alone need not have it

        self._wandb = wandb
        folder, identity = opened.workdir / "wandb", _identity(opened.workdir)
        found = wandb_file.read_steps(folder, identity)
        try:
            with _cache_in(folder):
                self._run = _begin(wandb, opened, identity)
        except Exception as error:  # wandb's own, and those of the libraries below it
            raise UserError(
                f"log.writers has 'wandb', and W&B does not start a run ({first_line(error)}): needs the network and "
                f"`wandb login`, or WANDB_MODE=offline, or another log.writers"
            ) from None
        _drop_links(folder)
        self._step = 0
        if self._run.offline:
            self.steps = found
            say(f"W&B: offline; `wandb sync` uploads {folder}/offline-run-*-{identity}")
        else:
            self.steps = range(self._run.starting_step)
            say(f"W&B: {self._run.url or 'disabled'}")

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Adds the numbers of an epoch."""
        self._log(step, numbers)

    def write_text(self, step: int, tag: str, markdown: str) -> None:
        """Adds a text, as it is."""
        self._log(step, {tag: self._wandb.Html(f"<pre>{html.escape(markdown)}</pre>")})

    def write_image(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Adds a picture, uint8 (H, W, 3)."""
        self._log(step, {tag: self._wandb.Image(pixels)})

    def _log(self, step: int, values: dict[str, Any]) -> None:
        self._step = step
        self._run.log(values, step=step)  # what has the same step becomes one row

    def flush(self) -> None:
        """Ends the row of the last step; W&B takes nothing more for it."""
        self._run.log({}, step=self._step, commit=True)

    def close(self, *, finished: bool) -> None:
        """Waits for the upload, half a minute at most; `wandb sync` uploads what is left."""
        self._run.finish(exit_code=0 if finished else 1)


def _begin(wandb: Any, opened: Opened, identity: str) -> Any:
    settings = wandb.Settings(
        silent=True,  # the URL is printed here
        console="off",  # the terminal is not W&B's
        symlink=False,
        finish_timeout=_FINISH_SECONDS,
    )
    if wandb.setup().settings.mode == "online" and not wandb.login(prompt=False):
        raise ValueError("no key is known here")  # a question at the terminal might have nobody to answer it
    return wandb.init(
        id=identity,
        resume="allow",
        project=os.environ.get("WANDB_PROJECT") or PROJECT,
        name=os.environ.get("WANDB_NAME") or opened.workdir.absolute().name,
        dir=str(opened.workdir),
        config=tree(opened.config),
        allow_val_change=True,  # train.epochs may be raised
        reinit="create_new",  # another run of the user's in this process stays what it is
        settings=settings,
    )


def _identity(workdir: Path) -> str:
    """Returns the id of the workdir's run, which is stored at the first call."""
    path = workdir / "wandb.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if re.fullmatch("[0-9a-z]{1,64}", found := files.read_json(path)["id"]):
            return found
    found = secrets.token_hex(8)
    files.write_text(path, json.dumps({"id": found}) + "\n")
    return found


@contextlib.contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    """Lets W&B's service, which starts meanwhile, put its log into `folder`.

    It links to that log from the run's files. A link out of the workdir would make the next start refuse the workdir.
    """
    before = os.environ.get("WANDB_CACHE_DIR")
    os.environ["WANDB_CACHE_DIR"] = str(folder.absolute() / "cache")
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_CACHE_DIR"]
        else:
            os.environ["WANDB_CACHE_DIR"] = before


def _drop_links(folder: Path) -> None:
    """Removes the links to that log: they are absolute, and would lead out of a workdir that is moved."""
    for link in folder.glob("*run-*/logs/debug-core.log"):
        if link.is_symlink():
            link.unlink()
