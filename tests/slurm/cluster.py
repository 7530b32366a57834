"""SLURM on one machine, without systemd: munged, slurmctld, and a slurmd for each of two names of loopback."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_res
SelectTypeParameters=CR_CPU
MpiDefault=none
JobRequeue=1
KillWait=120
ReturnToService=2
SlurmdTimeout=600
SchedulerParameters=batch_sched_delay=1,sched_min_interval=100000
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 State=UNKNOWN
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host},localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES
"""


def missing() -> str:
    """Returns why there can be no SLURM here; "" if there can."""
    absent = [name for name in PROGRAMS if not _find(name)]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "SLURM's daemons start as root"


class Slurm:
    """A running SLURM with two nodes; a context manager.

    Attributes:
        environment: for its commands.
    """

    def __init__(self, folder: Path):
        self.folder, self._started = folder, []
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    def __enter__(self) -> "Slurm":
        folder, host = self.folder, socket.gethostname()
        for name in ("state", host, "localhost"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, host=host, ports=_free_ports(3)))
        places = [f"--{name}={folder}/munge.{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
        self._start("munged", "--foreground", "--force", f"--key-file={key}", *places)
        _wait(lambda: (folder / "munge.socket").exists())
        self._start("slurmctld", "-D")
        for node in (host, "localhost"):
            self._start("slurmd", "-D", "-N", node)
        _wait(lambda: self.run("sinfo", "--noheader", "--states=idle", "--format=%D").strip() == "2")
        return self

    def __exit__(self, *error: object) -> None:
        for process in reversed(self._started):
            process.terminate()
        for process in self._started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def run(self, *command: str) -> str:
        """Returns what a command prints; raises if it fails."""
        found = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def state(self, job: str) -> str:
        """Returns the state of a job, such as RUNNING."""
        shown = self.run("scontrol", "show", "job", job)
        return shown.partition("JobState=")[2].split()[0]

    def restarts(self, job: str) -> int:
        """Returns how often a job was requeued."""
        return int(self.run("scontrol", "show", "job", job).partition("Restarts=")[2].split()[0])

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.out").open("a") as log:
            command = [_find(name), *arguments]
            self._started.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))


def _find(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait(is_there, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_there():
        assert time.monotonic() < deadline, "SLURM does not start"
        time.sleep(0.3)
