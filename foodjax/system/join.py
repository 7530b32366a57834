"""Joins the processes of one run: from flags, from the environment, or as JAX detects them under SLURM and the like."""

import os
import re
import socket
import sys
from typing import Any, NamedTuple

from foodjax.system import hosts, meeting
from foodjax.system.coordinator import Coordinator
from foodjax.system.errors import UserError, first_line
from foodjax.system.watch import Watch

SECONDS = 45.0  # that the processes wait for each other at the start
_CONNECT = 300  # seconds for JAX to connect those that have come
NAMES = {"coordinator": "JAX_COORDINATOR_ADDRESS", "processes": "JAX_NUM_PROCESSES", "process": "JAX_PROCESS_ID"}
# What says how many processes a launcher has started, and what it must give beside that for JAX to detect the rest.
_LAUNCHERS = {
    "SLURM_NTASKS": ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID"),
    "OMPI_COMM_WORLD_SIZE": ("OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
}


class Place(NamedTuple):
    """The place of this process among those of its run.

    Attributes:
        coordinator: "HOST:PORT", where the first process listens.
        processes: their number.
        process: the number of this one, from 0.
        local_devices: numbers of its devices on this machine; None takes all.
    """

    coordinator: str
    processes: int
    process: int
    local_devices: list[int] | None = None


def find(coordinator: str | None, processes: int | None, process: int | None) -> Place | None:
    """Returns the place that flags or the environment give this process; None: it is alone.

    Args:
        coordinator: of a flag, as all three; None where it was not given.
        processes: number of processes.
        process: number of this one.

    Raises:
        UserError: one of them is missing, or is no possible value.
    """
    if processes == 1 and coordinator is None and process in (None, 0):
        return None
    given: dict[str, Any] = {"coordinator": coordinator, "processes": processes, "process": process}
    shown = {key: f"--{key}" for key in given}
    if all(value is None for value in given.values()):
        given, shown = {key: os.environ.get(name) for key, name in NAMES.items()}, NAMES
        if given["processes"] is None and given["process"] is None:
            return _detected()
        if given["processes"] == "1":
            return None
    missing = [shown[key] for key, value in given.items() if value is None]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} is missing: several processes need {', '.join(shown.values())}, or srun, which "
            f"gives them all"
        )
    try:
        place = Place(str(given["coordinator"]), int(given["processes"] or 0), int(given["process"] or 0))
        port = int(place.coordinator.rpartition(":")[2])
    except ValueError:
        place, port = Place(str(given["coordinator"]), 0, 0), -1
    if not place.coordinator.rpartition(":")[0] or not 0 < port < 2**16:
        raise UserError(f"{shown['coordinator']} is {place.coordinator!r}: needs HOST:PORT of the first process")
    if place.processes < 1 or not 0 <= place.process < place.processes:
        raise UserError(
            f"{shown['process']} is {given['process']} and {shown['processes']} {given['processes']}: needs a number "
            f"from 0 to {max(place.processes, 1) - 1}, and one process for each"
        )
    return place


def _detected() -> Place | None:
    for number, others in _LAUNCHERS.items():
        if os.environ.get(number, "1") != "1" and all(name in os.environ for name in others):
            break
    else:
        return None
    from jax._src.clusters import ClusterEnv

    found = ClusterEnv.auto_detect_unset_distributed_params(None, None, None, None, None, None)
    coordinator, processes, process, devices = found
    assert coordinator is not None and processes is not None and process is not None  # noqa: PT018
    if re.fullmatch(r"1(\(x\d+\))?", os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")):
        devices = None  # JAX gives a process one device; the only one of a machine has them all
    return Place(coordinator, processes, process, list(devices) if devices is not None else None)


class Joined(NamedTuple):
    """The processes of a run, connected.

    Attributes:
        watch: ends this process when another one ends.
        coordinator: in the first process.
    """

    watch: Watch
    coordinator: Coordinator | None

    def leave(self) -> None:
        """Waits for the others and parts from them."""
        import jax

        hosts.wait()
        self.watch.close()
        jax.distributed.shutdown()
        if self.coordinator is not None:
            self.coordinator.end()


def join(place: Place) -> Joined:
    """Connects this process with the others, and ends it from then on when one of them ends.

    Args:
        place: of this process.

    Raises:
        UserError: the others do not come, or were started with another number.
    """
    import jax

    # The program sets handlers of its own: JAX' one would take SIGTERM.
    jax.config.update("jax_enable_preemption_service", False)
    port = int(place.coordinator.rpartition(":")[2])
    coordinator = Coordinator(port, place.processes, SECONDS) if place.process == 0 else None
    meeting.meet(place.coordinator, place.process, place.processes, SECONDS)
    try:
        jax.distributed.initialize(
            place.coordinator, place.processes, place.process, local_device_ids=place.local_devices,
            cluster_detection_method="deactivate", initialization_timeout=_CONNECT, heartbeat_timeout_seconds=600,
            coordinator_bind_address="localhost:0", shutdown_timeout_seconds=5,
        )  # fmt: skip
    except Exception as error:
        raise UserError(
            f"process {place.process} of {place.processes} cannot connect at {place.coordinator} "
            f"({first_line(error)}): needs a port that no firewall closes"
        ) from None
    if place.process:
        # The first process writes and prints for all.
        sys.stdout.flush()
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
    return Joined(Watch(hosts.gathered(f"{socket.gethostname()}, pid {os.getpid()}")), coordinator)
