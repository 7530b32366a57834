"""The coordination service of several processes, in a process of its own: `python -m foodjax.system.coordinator`.

In the first process, where JAX puts it, it would die with that: JAX then aborts every other process (status -6) before
it can say why. Here the others read who has ended, and end with a line.
"""

import contextlib
import importlib
import os
import select
import signal
import subprocess
import sys
import time

from foodjax.system import meeting
from foodjax.system.errors import UserError, first_line

_LINGER = 40  # seconds after the first process has died: the others notice it meanwhile
_BIND = 50.0  # seconds, for a port that the service of a run that was killed still has
_HEARTBEAT = 600  # seconds until JAX gives up a process that does not answer; `watch` does so much sooner
_READY, _END = "ready", b"end"


class Coordinator:
    """The process of the service. It ends with `end`, or some time after this process has died."""

    def __init__(self, port: int, processes: int, seconds: float):
        """Starts it.

        Args:
            port: where it listens, on all addresses of this machine.
            processes: number of processes that it waits for.
            seconds: that it waits for them.

        Raises:
            UserError: it cannot listen there.
        """
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
        command = [sys.executable, "-P", "-m", "foodjax.system.coordinator", str(port), str(processes), str(seconds)]
        pipe = subprocess.PIPE
        # A session of its own: Ctrl-C reaches the processes that train, which need it to save.
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True)
        assert self._process.stdout is not None
        found = self._process.stdout.readline().decode().strip()
        if found != _READY:
            raise UserError(
                f"cannot listen on port {port} for the other processes ({found}): needs another --coordinator"
            )

    def end(self) -> None:
        """Ends it; every process has left it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(_END)
            self._process.stdin.close()
        self._process.wait()


def main(port: int, processes: int, seconds: float) -> None:
    """Serves until the process that started this one says so, or has died."""
    for signum in (signal.SIGINT, signal.SIGTERM):  # those who save need it until they have
        signal.signal(signum, signal.SIG_IGN)
    try:
        server = meeting.listen(port, _BIND)
        print(_READY, flush=True)
        if not meeting.receive(server, processes, seconds):
            return
        service = importlib.import_module("jax._src.lib")._jax.get_distributed_runtime_service(
            f"[::]:{port}", processes, heartbeat_timeout=_HEARTBEAT, shutdown_timeout=5
        )
    except Exception as error:
        print(first_line(error), flush=True)
        return
    select.select([0], [], [])
    if os.read(0, 16) != _END:
        time.sleep(_LINGER)
    service.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
