import json
import subprocess

import numpy as np
import pytest

from foodjax.config.check import checked
from foodjax.data.prepared import Prepared
from foodjax.data.sets import Data
from foodjax.data.split import Indices
from foodjax.system.signals import Interrupted
from foodjax.workdir import run_record

NAMES = ("cross", "ring")


def data(pixel=0, label=0, first="cross/0"):
    images = np.zeros((4, 2, 2, 3), np.uint8)
    images[3, 0, 0, 0] = pixel
    labels = np.array([label, 0, 1, 1])
    train = Prepared(NAMES, images, labels, [first, "cross/1", "ring/0", "ring/1"])
    return Data(train, train, Indices(np.array([1, 3]), np.array([0]), np.array([0, 2]), False))


def test_the_fingerprint_tells_pixels_from_ids_and_parts_from_each_other():
    base = run_record.fingerprint(data())
    assert base == run_record.fingerprint(data())
    assert base["train"]["images"] == 2
    assert base["validation"]["images"] == 1
    changed = run_record.fingerprint(data(pixel=1))  # of row 3, which is trained on
    assert {name for name in base if base[name] != changed[name]} == {"train"}
    assert changed["train"]["ids"] == base["train"]["ids"]
    assert changed["train"]["pixels"] != base["train"]["pixels"]
    for other in (data(label=1), data(first="cross/9")):  # of row 0, which validates and tests
        found = run_record.fingerprint(other)
        assert {name for name in base if base[name]["ids"] != found[name]["ids"]} == {"validation", "test"}


def test_git_state_tells_a_change_that_is_not_committed(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments], cwd=tmp_path, check=True)

    assert run_record.git_state(tmp_path) is None
    git("init", "-q")
    (tmp_path / "a.py").write_text("1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    clean = run_record.git_state(tmp_path)
    assert len(clean["revision"]) == 40
    assert clean["uncommitted"] is None
    (tmp_path / "a.py").write_text("2\n")
    two = run_record.git_state(tmp_path)["uncommitted"]
    (tmp_path / "a.py").write_text("3\n")
    three = run_record.git_state(tmp_path)["uncommitted"]
    assert None not in (two, three)
    assert two != three
    (tmp_path / "a.py").write_text("1\n")
    (tmp_path / "new.py").write_text("1\n")
    assert run_record.git_state(tmp_path)["uncommitted"] not in (None, two, three)


def test_every_start_is_a_session_with_its_end(tmp_path, tiny_config):
    def start():
        return run_record.recorded(
            tmp_path, checked(tiny_config), data(), {"config": "demo.py", "overrides": {"seed": 3}}
        )

    def write_result():
        (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "val_loss": 2.0}\n{"epoch": 2, "val_loss": 2.5}\n')
        (tmp_path / "evaluation").mkdir()
        (tmp_path / "evaluation" / "evaluation.json").write_text('{"accuracy": 0.5, "loss": 2.1}')

    with pytest.raises(ZeroDivisionError), start():
        1 / 0  # noqa: B018
    with pytest.raises(Interrupted), start():
        raise Interrupted(15)
    killed = start()
    killed.__enter__()  # and never left
    assert run_record.read(tmp_path)["sessions"][-1]["outcome"] == "running"
    assert run_record.read(tmp_path)["result"] is None
    with start():
        write_result()
    record = run_record.read(tmp_path)
    outcomes = [session["outcome"] for session in record["sessions"]]
    assert outcomes == ["failed: division by zero", "interrupted", "killed", "finished"]
    assert record["result"] == {
        "epochs": 2, "best_epoch": 1, "best_val_loss": 2.0, "test_accuracy": 0.5, "test_loss": 2.1,
    }  # fmt: skip
    session = record["sessions"][-1]
    assert session["overrides"] == {"seed": 3}
    assert session["config"] == "demo.py"
    assert session["seed"] == 0
    assert session["packages"]["jax"]
    assert "cpu" in session["device"]
    assert session["started"] <= session["ended"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"sessions": 3}', "3"])
def test_a_damaged_record_is_an_empty_one(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    assert run_record.read(tmp_path) == {"result": None, "sessions": []}


def test_the_record_is_never_half_written(tmp_path, tiny_config):
    with run_record.recorded(tmp_path, checked(tiny_config), data(), {}):
        json.loads((tmp_path / "run.json").read_text())
        assert not list(tmp_path.glob("*.tmp"))
