"""The command line: flags, dispatch, and one line for a user's mistake.

python main.py --config experiments/food10.py[:VARIANT] [--mode MODE] [--workdir DIR] [--config.KEY=VALUE ...]
python main.py --mode import --keras FILE [--config FILE] [--workdir DIR]
python main.py --mode export [--format keras] [--output FILE] --workdir DIR
python main.py --mode sweep --config FILE [--jobs N] [--prune ETA] [--workdir DIR]
python main.py --mode compare --runs 'DIR/*' [--baseline LABEL] [--output DIR]
python main.py --mode reproduce --workdir DIR [--output DIR]
python main.py --mode predict --images FILE,FOLDER,... [--output FILE] --workdir DIR
python main.py --mode serve [--host ADDRESS] [--port PORT] --workdir DIR
python main.py --mode inspect --config experiments/food10.py [--workdir DIR]
"""

import signal
import sys

from absl import flags
from ml_collections import config_flags

from foodjax.commands import (
    arguments,
    compare,
    evaluate,
    export,
    find_lr,
    import_model,
    inspect,
    predict,
    reproduce,
    serve,
    summary,
    sweep,
    train,
)
from foodjax.commands.arguments import Asked, Mode
from foodjax.system.console import fail
from foodjax.system.errors import UserError
from foodjax.system.setup import setup
from foodjax.system.signals import Interrupted

# A new mode is a file in commands/ and a line here.
MODES = {
    "train": train.MODE,
    "evaluate": evaluate.MODE,
    "predict": predict.MODE,
    "summary": summary.MODE,
    "find_lr": find_lr.MODE,
    "import": import_model.MODE,
    "export": export.MODE,
    "inspect": inspect.MODE,
    "serve": serve.MODE,
    "sweep": sweep.MODE,
    "compare": compare.MODE,
    "reproduce": reproduce.MODE,
}

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment, a file in experiments/.")
_MODE = flags.DEFINE_string("mode", "train", "One of " + ", ".join(MODES) + ".")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; default runs/<experiment>.")
flags.DEFINE_string("keras", None, "--mode import: the model, a .keras or .weights.h5 file.")
_FORMAT = flags.DEFINE_string("format", "keras", "--mode export: keras.")
flags.DEFINE_string(
    "output",
    None,
    "--mode export: the file; default model.keras in the workdir. --mode predict: a .csv or .json. "
    "--mode compare: the folder; default comparison beside the runs. --mode reproduce: the new workdir.",
)
flags.DEFINE_list("images", [], "--mode predict: photographs and folders, separated by commas.")
flags.DEFINE_string("host", "127.0.0.1", "--mode serve: address to listen on; 0.0.0.0 is all of them.")
flags.DEFINE_integer("port", 8000, "--mode serve: port to listen on; 0 takes a free one.", 0, 65535)
flags.DEFINE_string("runs", "", "--mode compare: workdirs, * and ? allowed, several between commas.")
flags.DEFINE_string("baseline", "", "--mode compare, sweep: label of the runs to compare the others with.")
flags.DEFINE_integer("jobs", 1, "--mode sweep: runs at once.", lower_bound=1)
_PRUNE = flags.DEFINE_integer("prune", 0, "--mode sweep: ETA of successive halving, at least 2; 0 prunes nothing.")


def parse(argv: list[str]) -> tuple[Mode, list[str]]:
    """Parses the command line; returns the mode and, without --config, the overrides.

    Raises:
        UserError: a flag, a key or a value is invalid.
    """
    argv, overrides = arguments.split_overrides(arguments.rename_keys(argv))
    typed = sys.argv
    try:
        sys.argv = argv  # ml_collections looks for overrides there
        rest = flags.FLAGS(argv)
        if _CONFIG.present:
            len(_CONFIG.value)  # a file that cannot be loaded fails at first use
    except Exception as error:  # config files and overrides raise many types
        raise UserError(arguments.explain(error, argv)) from None
    finally:
        sys.argv = typed
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}: overrides look like --config.train.epochs=2")
    if _FORMAT.value != "keras":
        raise UserError(f"--format is {_FORMAT.value!r}: needs keras")
    if _PRUNE.value and _PRUNE.value < 2:
        raise UserError(f"--prune is {_PRUNE.value}: needs 0, or at least 2; a rung keeps 1 / ETA of the variants")
    return arguments.check_mode(_MODE.value, MODES), overrides


def main(argv: list[str]) -> int:
    """Runs one command and returns the exit status."""
    try:
        mode, overrides = parse(argv)
        config = _CONFIG.value
        if config is None and _MODE.value == "import":
            from experiments import food10

            config = food10.get_config()  # by default an imported model is the tutorial's
        asked = Asked(flags.FLAGS, arguments.origin())
        config, workdir = arguments.load(_MODE.value, mode, config, _WORKDIR.value, overrides)
        setup()  # imports JAX: most mistakes are told a second sooner
        return mode.run(config, workdir, asked) or 0
    except UserError as error:
        fail(str(error))
        return 2
    except Interrupted as interrupted:
        # An end after SIGTERM is no failure; after Ctrl-C shells expect 130.
        return 0 if interrupted.signum == signal.SIGTERM else 128 + signal.SIGINT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
