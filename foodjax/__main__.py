"""The program: `python main.py` and `python -m foodjax`."""

import signal
import sys

from foodjax.system.malloc import tune_malloc
from foodjax.system.signals import end_at_once


def start() -> None:
    """Runs the command of sys.argv and ends the process with its status."""
    tune_malloc()  # before anything large is loaded: it starts the program again
    trains = not any("mode" in argument and "train" not in argument for argument in sys.argv)
    end_at_once(sigterm_status=0 if trains else 128 + signal.SIGTERM)
    from foodjax import cli

    sys.exit(cli.main(sys.argv))


if __name__ == "__main__":
    start()
