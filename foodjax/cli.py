"""The command line: reads it, loads the config, runs the verb, and prints one line for a user's mistake."""

import logging
import os
import signal
import sys

from foodjax.commands import (
    arguments,
    compare,
    configs,
    evaluate,
    export,
    find_lr,
    help,
    hosts,
    import_model,
    inspect,
    labels,
    predict,
    probe,
    reproduce,
    serve,
    summary,
    sweep,
    train,
)
from foodjax.commands.verb import CONTINUED
from foodjax.system import accelerators, determinism, memory
from foodjax.system.console import fail, say
from foodjax.system.errors import UserError, first_line
from foodjax.system.setup import setup
from foodjax.system.signals import Interrupted
from foodjax.system.together import together
from foodjax.system.version import version

# A new verb is a file in commands/ and a line here.
VERBS = [
    train.VERB,
    evaluate.VERB,
    predict.VERB,
    inspect.VERB,
    summary.VERB,
    find_lr.VERB,
    probe.VERB,
    labels.VERB,
    sweep.VERB,
    compare.VERB,
    reproduce.VERB,
    serve.VERB,
    import_model.VERB,
    export.VERB,
]


def main(argv: list[str]) -> int:
    """Runs one command and returns the exit status; argv[0] is the program."""
    words, verb = argv[1:], "train"
    try:
        text = _help(words)
        if text is None:
            command = arguments.read(words, VERBS)
            verb = command.verb.name
            if command.help:
                text = help.topic(verb, VERBS)
        if text is not None:
            print(text, end="")
            return 0
        arguments.check_needs(command)
        memory.check_limit(command.verb.address_space, verb)
        given = configs.load(command)
        _leave_float64()
        if given.config is not None:
            determinism.set_up(deterministic=given.config.train.deterministic)
        place = hosts.place_of(command)
        setup()  # imports JAX: most mistakes are told a second sooner
        with together(place, _fail, sigterm_status=_status_of(signal.SIGTERM, verb)):
            _check_platform()
            if command.verb.config != "none":
                _say_unused()
            return command.verb.run(given) or 0
    except (UserError, MemoryError) as error:
        return _fail(error)
    except Interrupted as interrupted:
        return _status_of(interrupted.signum, verb)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _status_of(signum: int, verb: str) -> int:
    """Returns the exit status after a signal: after SIGTERM a run that continues is no failure, Ctrl-C is 130."""
    return 0 if signum == signal.SIGTERM and verb in CONTINUED else 128 + signum


def _fail(error: UserError | MemoryError) -> int:
    """Prints the line of an error, and returns the exit status."""
    if isinstance(error, UserError):
        fail(str(error))
        return 2
    fail(f"out of memory ({first_line(error)}): needs more free memory, or smaller batches or pictures")
    return 1


def _leave_float64() -> None:
    """Says that runs are computed in float32, where the environment asks JAX for float64."""
    if os.environ.get("JAX_ENABLE_X64", "0").lower() in ("1", "true", "t", "yes", "y", "on"):
        os.environ["JAX_ENABLE_X64"] = "0"
        say("JAX_ENABLE_X64 is left out: runs are computed in float32")


def _check_platform() -> None:
    """Raises UserError where the environment asks for a platform of which JAX finds no device."""
    wanted = os.environ.get("JAX_PLATFORMS", "")
    if wanted in ("", "cpu"):
        return
    import jax

    try:
        jax.devices()
    except Exception as error:  # RuntimeError, and AssertionError where a plugin is missing
        raise UserError(
            f"JAX_PLATFORMS={wanted}, but JAX finds no such device ({first_line(error)}): needs the device and the "
            f"package of JAX for it (pip install 'foodjax[cuda13]', cuda12 or tpu), or JAX_PLATFORMS=cpu"
        ) from None


def _say_unused() -> None:
    """Says that the machine has a GPU or TPU that JAX cannot use, unless the environment chooses the platform."""
    line = "" if os.environ.get("JAX_PLATFORMS") else accelerators.unused()
    if line:
        say(line, file=sys.stderr)
        # JAX says that there may be one, and not what to do.
        logging.getLogger("jax._src.xla_bridge").addFilter(lambda record: "may be present" not in record.getMessage())


def _help(words: list[str]) -> str | None:
    """Returns the text of help and version, which need no verb; None if something else is wanted."""
    if words in (["--help"], ["-h"], ["-help"]):
        return help.overview(VERBS)
    if words in (["--version"], ["-version"]):
        return f"foodjax {version()}\n"
    if words[:1] == ["help"]:
        return "\n".join(help.topic(word, VERBS) for word in words[1:] or [""])
    return None
