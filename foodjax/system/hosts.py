"""Processes that run one command together, each with devices of its own: their number, and what they agree on.

One process is the case of one host: it asks nobody. Values travel through the key-value store of JAX's coordination
service, beside the devices. All processes call these functions in one order, from their main thread.
"""

import itertools
import json
import sys
import threading
from collections.abc import Callable
from typing import Any

from foodjax.system.errors import UserError

_ROOT = "foodjax"
_WAIT_MS = 500  # of one request: signals are handled in between
POLL_SECONDS = 0.5  # between two calls of the functions of `every`

_calls = itertools.count()
_polled: list[Callable[[], None]] = []
_pollers: list[threading.Thread] = []  # one at most


def _state() -> Any:
    """Returns JAX's state of several processes; None where JAX is not imported, so that there is one."""
    module = sys.modules.get("jax._src.distributed")
    state = module.global_state if module is not None else None
    return state if state is not None and state.client is not None else None


def count() -> int:
    """Returns the number of processes."""
    state = _state()
    return state.num_processes if state is not None else 1


def index() -> int:
    """Returns the number of this process, from 0."""
    state = _state()
    return state.process_id if state is not None else 0


def is_first() -> bool:
    """Returns whether this process is the one that writes files, and prints."""
    return index() == 0


def set_value(path: str, value: str) -> None:
    """Sets a value that every process may read."""
    _state().client.key_value_set(f"{_ROOT}/{path}", value, allow_overwrite=True)


def values_in(folder: str) -> dict[str, str]:
    """Returns the values whose paths begin with `folder`, by the rest of their paths; does not wait."""
    prefix = f"{_ROOT}/{folder}/"
    found = _state().client.key_value_dir_get(prefix)
    return {path.removeprefix(prefix): value for path, value in found}


def _wait_for(path: str) -> str:
    client = _state().client
    while True:  # for ever: the one who sets it may prepare photographs for hours, and `watch` sees it die
        try:
            return client.blocking_key_value_get(f"{_ROOT}/{path}", _WAIT_MS)
        except Exception as error:  # of a type of jaxlib's own
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


def gathered(value: Any) -> list[Any]:
    """Returns the values of all processes, in the order of their numbers; each waits for the others.

    Args:
        value: of this process; JSON.
    """
    if count() == 1:
        return [value]
    folder = f"call/{next(_calls)}"
    set_value(f"{folder}/{index()}", json.dumps(value))
    return [json.loads(one) for one in gathered_in(folder)]


def gathered_in(folder: str) -> list[str]:
    """Returns the values that the processes have set under FOLDER/NUMBER, in order; waits for all."""
    return [_wait_for(f"{folder}/{process}") for process in range(count())]


def wait() -> None:
    """Waits until every process is here."""
    gathered(None)


def by_first(make: Callable[[], Any]) -> Any:
    """Returns in every process what `make` returns in the first one, which alone calls it.

    Args:
        make: returns JSON.

    Raises:
        UserError: in every process, if it was raised in the first one.
    """
    if count() == 1:
        return make()
    call = next(_calls)
    if is_first():
        try:
            made = make()
        except UserError as error:
            set_value(f"call/{call}/0", json.dumps({"error": str(error)}))
            raise
        set_value(f"call/{call}/0", json.dumps({"value": made}))
        return made
    found = json.loads(_wait_for(f"call/{call}/0"))
    if "error" in found:
        raise UserError(found["error"])
    return found["value"]


def check_same(what: str, value: str) -> None:
    """Checks that all processes were given the same; each waits for the others.

    Args:
        what: names the value in the message.
        value: of this process.

    Raises:
        UserError: in every process, where one has another value.
    """
    values = gathered(value)
    other = next((process for process, found in enumerate(values) if found != values[0]), None)
    if other is not None:
        raise UserError(
            f"processes 0 and {other} of {len(values)} differ in {what}: needs the same command for every process"
        )


def every(function: Callable[[], None]) -> Callable[[], None]:
    """Calls a function every half second in a thread, as long as there are several processes; returns one that ends it.

    It must raise nothing.
    """
    _polled.append(function)
    if not _pollers:
        _pollers.append(threading.Thread(target=_poll, name="hosts", daemon=True))
        _pollers[0].start()

    def end() -> None:
        if function in _polled:
            _polled.remove(function)

    return end


def _poll() -> None:
    pause = threading.Event()
    while True:
        for function in list(_polled):
            function()
        pause.wait(POLL_SECONDS)


def name() -> str:
    """Returns "process 1 of 4", for lines of one process."""
    return f"process {index()} of {count()}"
