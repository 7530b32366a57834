"""The meeting of the processes of a run, before JAX connects them: JAX would abort a process that waits in vain.

The first process's coordinator listens; each process sends its number and how many it was told, and gets an answer when
all have come, or the time is over.
"""

import contextlib
import json
import socket
import time

from foodjax.system.errors import UserError

_MORE = 10.0  # seconds beyond those of the meeting, for the answer
_LATE = 2.0  # seconds after a refusal, for the others that get it too
_GO = ""


def listen(port: int, seconds: float) -> socket.socket:
    """Returns a socket that listens; waits for a port that is still in use.

    Raises:
        OSError: it is in use after some seconds too.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if socket.has_dualstack_ipv6():
                return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
            return socket.create_server(("", port))
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def receive(server: socket.socket, processes: int, seconds: float) -> bool:
    """Waits for the processes and answers them; returns whether all have come.

    Args:
        server: of `listen`; it is closed.
        processes: their number.
        seconds: that it waits.
    """
    here: dict[int, socket.socket] = {}
    refusal, deadline, extra, awaited = "", time.monotonic() + seconds, [], processes
    with server, contextlib.ExitStack() as stack:
        while len(here) + len(extra) < awaited:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                one = stack.enter_context(server.accept()[0])
                one.settimeout(5)
                number, told = map(int, json.loads(one.makefile().readline()))
            except TimeoutError:
                if time.monotonic() < deadline:
                    continue  # a stranger, who says nothing
                if not refusal:
                    missing = ", ".join(str(process) for process in range(processes) if process not in here)
                    refusal = f"of {processes} processes number {missing} did not come within {seconds:.0f} s"
                break
            except (OSError, ValueError, TypeError):
                continue  # a stranger
            if told == processes and number not in here:
                here[number] = one
                continue
            if told != processes:
                why = f"process 0 was told that there are {processes} processes, and process {number} {told}"
            else:
                why = f"two processes were told that they are number {number} of {processes}"
            refusal, awaited = refusal or why, max(awaited, told)
            deadline = min(deadline, time.monotonic() + _LATE)
            extra.append(one)
        for one in (*here.values(), *extra):
            with contextlib.suppress(OSError):
                one.sendall(json.dumps(refusal).encode() + b"\n")
                one.recv(1)  # the process closes first: its end of the connection is the one that lingers
    return not refusal


def meet(address: str, process: int, processes: int, seconds: float) -> None:
    """Waits until all processes have come.

    Args:
        address: "HOST:PORT" of the first process.
        process: number of this one.
        processes: their number.
        seconds: that they wait for each other.

    Raises:
        UserError: they do not come, or were told different numbers.
    """
    host, _, port = address.rpartition(":")
    deadline, answer = time.monotonic() + seconds, b""
    needs = "needs each number once, started within this time, with the same --processes and --coordinator"
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as one:
                one.sendall(json.dumps([process, processes]).encode() + b"\n")
                one.settimeout(seconds + _MORE)
                answer = one.makefile("rb").readline()
            refusal = json.loads(answer)
            break
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                why = getattr(error, "strerror", None) or "no answer"
                raise UserError(
                    f"process {process} of {processes} cannot reach process 0 at {address} within {seconds:.0f} s "
                    f"({why}): {needs}"
                ) from None
        time.sleep(0.5)
    if refusal != _GO:
        raise UserError(f"{refusal}: {needs}")
