"""Agreement of several processes on a step, without a message at each step.

A process that was asked to end cannot end at once: the others would wait for it in the middle of a step. So all name
the step that they have begun, and act before the first one that none has begun.
"""

import contextlib
import itertools
import threading

from foodjax.system import hosts

_NONE = -1  # before the first step
_made = itertools.count()


class Agreement:
    """A request of any process, which all get at the same step. One process gets its own at once.

    Every process makes the same agreements in the same order, and calls `at` for the same steps in the same order.
    """

    def __init__(self, name: str):
        """Begins to listen for the requests of other processes.

        Args:
            name: of its values among those of the processes.
        """
        self._name, self._round = f"{name}-{next(_made)}", 0
        self._lock, self._begun = threading.Lock(), _NONE
        self._wanted: int | None = None
        self._asked = self._is_frozen = False
        self._end = hosts.every(self._listen) if hosts.count() > 1 else lambda: None

    def close(self) -> None:
        """Listens no longer."""
        self._end()

    def ask(self, value: int) -> None:
        """Makes the request; the first one of a round counts."""
        if self._wanted is None and not self._asked:
            self._asked = True
            if hosts.count() > 1:
                hosts.set_value(f"{self._folder()}/ask", str(value))
            else:
                self._wanted = value

    def at(self, step: int) -> int | None:
        """Returns the value of a request that all act on before this step, else None; a new round begins then.

        Args:
            step: that begins now, greater than at the last call.
        """
        if hosts.count() > 1:
            with self._lock:
                if not self._is_frozen:
                    self._begun = step
                    return None
            begun = [int(one) for one in hosts.gathered_in(f"{self._folder()}/begun")]
            if step <= max(begun):
                return None
            self._wanted = int(hosts.values_in(self._folder())["ask"])
        value, self._wanted = self._wanted, None
        if value is not None:
            with self._lock:
                self._round, self._begun = self._round + 1, step
                self._asked = self._is_frozen = False
        return value

    def _listen(self) -> None:
        """Names the step that this process has begun, once there is a request; in the thread of `hosts.every`."""
        with contextlib.suppress(Exception):  # of a service that is gone: `watch` ends the process
            with self._lock:
                if self._is_frozen:
                    return
                folder = self._folder()
                if "ask" not in hosts.values_in(folder):
                    return
                hosts.set_value(f"{folder}/begun/{hosts.index()}", str(self._begun))
                self._is_frozen = True

    def _folder(self) -> str:
        return f"agree/{self._name}/{self._round}"
