"""The program: `foodjax`, `python -m foodjax` and `python main.py`."""

import signal
import sys

from foodjax.commands.verb import CONTINUED, name_of_verb
from foodjax.system.malloc import tune_malloc
from foodjax.system.output import OutputClosed, watch_output
from foodjax.system.signals import end_at_once, held


def start() -> None:
    """Runs the command of sys.argv and ends the process with its status.

    A training goes on without a reader of its output; other verbs then end with 141, as programs of a shell do.
    """
    verb = name_of_verb(sys.argv[1:])
    continued = verb in CONTINUED
    end_at_once(sigterm_status=0 if continued else 128 + signal.SIGTERM)
    if verb != "serve":  # which gives back the memory of large photographs
        with held():  # the program that starts again takes a signal of this moment with its own handlers
            tune_malloc()  # before anything large is loaded
    watch_output(goes_on=continued)
    from foodjax import cli

    try:
        status = cli.main(sys.argv)
        sys.stdout.flush()
    except OutputClosed:
        status = 128 + signal.SIGPIPE  # as of a program that the system ends
    sys.exit(status)


if __name__ == "__main__":
    start()
