"""Locks on folders: of one machine, and of several whose file system keeps their locks apart."""

import json

import filelock
import pytest

from foodjax.system import ownership
from foodjax.system.ownership import Owner, owned


def write_other(path, **facts):
    """Writes the file of an owner on another machine, whose lock of filelock is not seen here."""
    found = {"host": "node7", "pid": 12, "machine": "another", "token": "t", "beat": 3, **facts}
    path.with_name(path.name + ".owner").write_text(json.dumps(found))


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(ownership, "_TURN", 0.01)
    monkeypatch.setattr(ownership, "DEAD", 0.05)
    return tmp_path / ".lock"


def test_the_owner_is_named_and_its_files_go_with_it(path):
    one, other = Owner(path), Owner(path)
    assert one.acquire() == ""
    assert one.is_own()
    assert other.acquire().endswith(f"(pid {ownership.os.getpid()})")
    one.release()
    assert [file.name for file in path.parent.iterdir() if file.name != ".lock"] == []
    assert other.acquire() == ""
    other.release()


def test_a_lock_without_a_name_is_respected(path):
    held = filelock.FileLock(path)
    held.acquire()
    assert Owner(path).acquire() == "another process"
    held.release()


def test_a_dead_owner_of_this_machine_is_followed_at_once(path):
    write_other(path, machine=ownership.machine())
    one = Owner(path)
    assert one.acquire(wait=60) == ""
    assert one.is_own()
    one.release()


def test_an_owner_on_another_machine_without_a_beat_is_dead(path):
    write_other(path)
    one = Owner(path)
    assert one.acquire(wait=1, poll=0.01) == ""
    assert one.is_own()
    one.release()


def test_whoever_does_not_wait_finds_out_with_time(path):
    write_other(path)
    one = Owner(path)
    assert one.acquire(wait=0) == "node7 (pid 12)"
    ownership.time.sleep(0.06)
    assert one.acquire(wait=0) == ""
    one.release()


def test_an_owner_on_another_machine_that_beats_is_named(path, monkeypatch):
    write_other(path)
    monkeypatch.setattr(ownership.time, "sleep", lambda seconds: write_other(path, beat=4))
    assert Owner(path).acquire() == "node7 (pid 12)"
    lock = filelock.FileLock(path)  # given back
    lock.acquire(blocking=False)
    lock.release()


def test_of_two_that_follow_a_dead_owner_one_gives_way(path, monkeypatch):
    write_other(path)
    monkeypatch.setattr(ownership, "_TURN", 7)
    monkeypatch.setattr(ownership, "DEAD", -1)
    monkeypatch.setattr(
        ownership.time,
        "sleep",
        lambda seconds: write_other(path, token="quicker", host="node8") if seconds == 7 else None,
    )
    assert Owner(path).acquire(wait=1, poll=0) == "node8 (pid 12)"


def test_an_owner_beats(path, monkeypatch):
    monkeypatch.setattr(ownership, "BEAT", 0.01)
    with owned(path):
        file = path.with_name(".lock.owner")
        while json.loads(file.read_text())["beat"] < 2:
            pass
    assert not file.exists()
