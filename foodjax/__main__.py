"""The program: `foodjax`, `python -m foodjax` and `python main.py`."""

import signal
import sys

from foodjax.commands.verb import CONTINUED, name_of_verb
from foodjax.system.malloc import tune_malloc
from foodjax.system.signals import end_at_once, held


def start() -> None:
    """Runs the command of sys.argv and ends the process with its status."""
    continued = name_of_verb(sys.argv[1:]) in CONTINUED
    end_at_once(sigterm_status=0 if continued else 128 + signal.SIGTERM)
    with held():  # the program that starts again takes a signal of this moment with its own handlers
        tune_malloc()  # before anything large is loaded
    from foodjax import cli

    sys.exit(cli.main(sys.argv))


if __name__ == "__main__":
    start()
