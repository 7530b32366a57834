"""Compares the global state of a process before and after foodjax is imported, used, and set up.

    python tests/system/world.py FOLDER

FOLDER receives a run. Prints a JSON object: action -> {what it changed: "before -> after"}. Packages that foodjax
imports are imported before; what they change is theirs.
"""

import ast
import asyncio
import faulthandler
import gc
import importlib
import json
import locale
import logging
import multiprocessing
import os
import pkgutil
import random
import resource
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


def import_third_parties() -> None:
    """Imports every module that foodjax imports anywhere, inside functions too, where it is installed."""
    names = {"tensorboard"}
    for path in (ROOT / "foodjax").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names |= {node.module} if isinstance(node, ast.ImportFrom) and node.module else set()
            names |= {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
    for name in sorted(names):
        if name.split(".")[0] not in ("foodjax", "experiments"):
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                print(f"{name} is not installed", file=sys.stderr)


def snapshot() -> dict[str, Any]:
    """Returns the global state by name."""
    import absl.flags
    import jax
    import keras
    import matplotlib
    import numpy as np
    import PIL.Image
    import PIL.ImageFile
    import tensorflow as tf

    umask = os.umask(0)
    os.umask(umask)
    found = {
        "logging.disable": logging.root.manager.disable,
        "logging.getLoggerClass": logging.getLoggerClass(),
        "warnings.filters": list(warnings.filters),
        "warnings.showwarning": warnings.showwarning,
        "sys.unraisablehook": sys.unraisablehook,
        "sys.excepthook": sys.excepthook,
        "sys.displayhook": sys.displayhook,
        "sys.path": list(sys.path),
        "sys.path_hooks": list(sys.path_hooks),
        "sys.meta_path": list(sys.meta_path),
        "sys.stdout, sys.stderr": (sys.stdout, sys.stderr),
        "sys.settrace, sys.setprofile": (sys.gettrace(), sys.getprofile()),
        "recursion limit": sys.getrecursionlimit(),
        "switch interval": sys.getswitchinterval(),
        "threading.excepthook": threading.excepthook,
        "faulthandler": faulthandler.is_enabled(),
        "gc": (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        "umask": umask,
        "working directory": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "socket timeout": socket.getdefaulttimeout(),
        "multiprocessing start method": multiprocessing.get_start_method(allow_none=True),
        "asyncio": (asyncio.get_event_loop_policy(), asyncio.run, asyncio.get_event_loop),
        "cores": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if "RLIMIT_" in name},
        "python random state": random.getstate(),
        "numpy random state": [np.asarray(part).tobytes() for part in np.random.get_state()],
        "numpy errors": np.geterr(),
        "numpy print options": np.get_printoptions(),
        "PIL MAX_IMAGE_PIXELS": PIL.Image.MAX_IMAGE_PIXELS,
        "PIL LOAD_TRUNCATED_IMAGES": PIL.ImageFile.LOAD_TRUNCATED_IMAGES,
        "tensorflow devices": tf.config.get_visible_devices(),
        "tensorflow eager": (tf.executing_eagerly(), tf.config.functions_run_eagerly()),
        "keras": (keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name),
        "absl flags": sorted(absl.flags.FLAGS),
    }
    for name, logger in [("root", logging.root), *logging.root.manager.loggerDict.items()]:
        if isinstance(logger, logging.Logger):
            state = (logger.level, logger.disabled, logger.propagate, list(logger.filters), list(logger.handlers))
            if state != (logging.NOTSET, False, True, [], []):  # a new logger that is as any other is no change
                found[f"logger {name}"] = state
    found |= {f"signal {number.name}": signal.getsignal(number) for number in signal.Signals}
    found |= {f"environment {name}": value for name, value in os.environ.items()}
    found |= {f"jax {name}": value for name, value in jax.config.values.items()}
    found |= {f"matplotlib {name}": value for name, value in dict.items(matplotlib.rcParams)}  # chooses no backend
    return found


def changes(action: Callable[[], Any]) -> dict[str, str]:
    """Returns what an action changes."""
    before = snapshot()
    action()
    after = snapshot()
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return {name: f"{before.get(name)!r:.500} -> {after.get(name)!r:.500}" for name in names}


def import_library() -> None:
    """Imports every module of foodjax but the command line."""
    import foodjax

    for module in pkgutil.walk_packages(foodjax.__path__, "foodjax."):
        if module.name not in ("foodjax.cli", "foodjax.__main__"):
            importlib.import_module(module.name)


def import_command_line() -> None:
    for name in ("foodjax.cli", "foodjax.__main__"):
        importlib.import_module(name)


def use(folder: Path) -> dict[str, Callable[[], Any]]:
    """Returns calls of the library, in order."""
    import foodjax
    from experiments import demo
    from foodjax.report import run_report
    from foodjax.study import space

    config = demo.get_config()
    config.data.update(cache_dir=str(folder / "cache"), drawn_train=12, drawn_test=5, image_size=16)
    config.data.update(batch_size=16, eval_batch_size=24)
    config.model.blocks, config.model.head.hidden = config.model.blocks[:1], (16,)
    config.model.blocks[0].features = 8
    config.train.epochs = 1
    workdir, found = folder / "run", []

    def predict():
        from PIL import Image

        for name, size in (("photo.png", (20, 16)), ("broken.png", (9, 9))):
            Image.new("RGB", size, "red").save(folder / name)
        (folder / "broken.png").write_bytes((folder / "broken.png").read_bytes()[:50])
        paths, bad = [folder / "photo.png", folder / "broken.png"], {}
        assert len(list(foodjax.Predictor(workdir).predict(paths, bad))) == 1
        assert len(bad) == 1

    return {
        "train": lambda: foodjax.train(config, workdir),
        "evaluate": lambda: found.append(foodjax.evaluate(workdir)),
        "Predictor": predict,
        "load_data": lambda: foodjax.load_data(config),
        "report": lambda: run_report.write_report(found[0], workdir),
        "load_config": lambda: foodjax.load_config("food10_fast", "blocks=2", lr=1e-3),
        "compare": lambda: foodjax.compare(workdir, output=folder / "compared"),
        "random": lambda: space.random(2, lr=(1e-4, 1e-2)),
    }


def forget() -> None:
    """Undoes what the test's environment, or JAX when it was imported, has set."""
    import jax

    for name in ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"):
        os.environ.pop(name, None)
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def disturb() -> None:
    """Changes much of what `setup` leaves as it is."""
    import matplotlib
    import numpy as np
    import PIL.Image
    import PIL.ImageFile

    logging.getLogger("jax").setLevel(logging.ERROR)
    logging.getLogger("orbax").addHandler(logging.NullHandler())
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)  # not ignored: a shell's background job has it ignored already
    sys.excepthook = threading.excepthook = print
    sys.setrecursionlimit(sys.getrecursionlimit() + 1)
    warnings.showwarning = print
    PIL.Image.MAX_IMAGE_PIXELS = None
    PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True
    matplotlib.rcParams["svg.fonttype"] = "none"
    np.seterr(all="ignore")
    np.random.seed(1)
    random.seed(1)
    os.umask(0o077)
    os.chdir("/")


def main() -> None:
    """Prints what changes."""
    folder = Path(sys.argv[1]).resolve()
    import_third_parties()
    actions = {"import": import_library, "import of the command line": import_command_line}
    found = {name: changes(action) for name, action in actions.items()}
    found |= {name: changes(action) for name, action in use(folder).items()}
    forget()
    import foodjax

    found |= {"setup": changes(foodjax.setup), "setup again": changes(foodjax.setup), "disturb": changes(disturb)}
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
