"""The place of a process among others: from flags, from JAX' names, and from launchers."""

import pytest

from foodjax.system import join
from foodjax.system.errors import UserError
from foodjax.system.join import Place, find

SLURM = {
    "SLURM_JOB_ID": "5", "SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "0", "SLURM_STEP_NUM_NODES": "2",
}  # fmt: skip


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    for name in (*join.NAMES.values(), *SLURM, "SLURM_STEP_NODELIST", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_a_process_without_flags_is_alone():
    assert find(None, None, None) is None
    assert find(None, 1, None) is None


def test_flags_come_before_the_environment(monkeypatch):
    for key, value in {"coordinator": "a:1", "processes": "3", "process": "2"}.items():
        monkeypatch.setenv(join.NAMES[key], value)
    assert find(None, None, None) == Place("a:1", 3, 2)
    assert find("b:2", 2, 0) == Place("b:2", 2, 0)
    assert find(None, 1, None) is None
    monkeypatch.setenv("JAX_NUM_PROCESSES", "1")
    assert find(None, None, None) is None


@pytest.mark.parametrize(
    "flags,line",
    [
        (
            (None, 2, 0),
            "--coordinator is missing: several processes need --coordinator, --processes, --process, or srun",
        ),
        (("a:1", None, None), "--processes and --process is missing"),
        (("a", 2, 0), "--coordinator is 'a': needs HOST:PORT"),
        (("a:b", 2, 0), "--coordinator is 'a:b': needs HOST:PORT"),
        (("a:1", 2, 2), "--process is 2 and --processes 2: needs a number from 0 to 1"),
    ],
)
def test_flags_that_name_no_place_are_refused(flags, line):
    with pytest.raises(UserError, match=line):
        find(*flags)


@pytest.mark.parametrize("tasks,devices", [("1(x2)", None), ("2", [0]), ("16", [0])])
def test_srun_gives_the_place(monkeypatch, tasks, devices):
    for name, value in (SLURM | {"SLURM_STEP_TASKS_PER_NODE": tasks, "SLURM_STEP_NODELIST": "n[3-4]"}).items():
        monkeypatch.setenv(name, value)
    assert find(None, None, None) == Place(f"n3:{65535 - 2**12 + 1 + 5}", 2, 1, devices)


def test_a_batch_script_is_one_process(monkeypatch):
    for name, value in SLURM.items():  # SLURM_STEP_NODELIST comes from srun
        monkeypatch.setenv(name, value)
    assert find(None, None, None) is None
