"""The W&B writer, offline: what reads its files back here is the writer's own reader, against what was logged."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, run_main, start_main

from foodjax.workdir.metrics import read_metrics

pytestmark = pytest.mark.slow
wandb = pytest.importorskip("wandb", reason="wandb is not installed: pip install 'foodjax[wandb]'")

OFFLINE = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
WRITER = """
import json, os, signal, sys
from pathlib import Path
from foodjax.config.check import checked
from experiments import demo
from foodjax.workdir.logs import MetricsLog

config = demo.get_config()
config.log.writers = ("wandb",)
workdir, rows = Path(sys.argv[1]), json.loads(sys.argv[2])
log = MetricsLog(workdir, rows, rows[-1]["step"] if rows else 0, config=checked(config), learning_rate=float)
for step in map(int, sys.argv[3].split(",")):
    log.write({"epoch": step // 10, "step": step, "loss": 1 / step}, {"data_wait": 0.5})
    log.write_text(step, "text", "a < b")
    log.flush(step)
if sys.argv[4] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
log.close()
"""


def write(workdir, rows, steps, end="close"):
    """Logs steps in a process of its own, as wandb reads its environment once."""
    command = [sys.executable, "-c", WRITER, workdir, json.dumps(rows), ",".join(map(str, steps)), end]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | OFFLINE, capture_output=True, text=True, timeout=300)
    assert done.returncode == (-signal.SIGKILL if end == "kill" else 0), done.stderr
    return done


def history(workdir):
    """Returns [(step, {name: value}), ...] of all files of the workdir's run, in the order of their names."""
    from wandb.proto.wandb_internal_pb2 import Record

    from foodjax.workdir.wandb_file import records

    identity, found = json.loads((workdir / "wandb.json").read_text())["id"], []
    for path in sorted((workdir / "wandb").glob(f"offline-run-*-{identity}/run-{identity}.wandb")):
        for body in records(path.read_bytes()):
            items = Record.FromString(body).history.item
            if items:
                values = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}
                found.append((values["_step"], values))
    return found


def links_out(workdir):
    return [path for path in workdir.rglob("*") if path.is_symlink() and workdir not in path.resolve().parents]


def row(epoch):
    return {"epoch": epoch, "step": 10 * epoch, "loss": 1 / (10 * epoch)}


def test_a_continued_run_is_the_same_one_with_every_step_once(tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    write(workdir, [], [10, 20, 30])
    first = json.loads((workdir / "wandb.json").read_text())["id"]
    # The run was killed before the checkpoint of step 30: the epoch is done again.
    done = write(workdir, [row(1), row(2)], [30, 40])
    assert json.loads((workdir / "wandb.json").read_text())["id"] == first
    assert f"`wandb sync` uploads {workdir}/wandb/offline-run-*-{first}" in done.stdout
    assert done.stderr == ""
    found = history(workdir)
    assert [step for step, _ in found] == [10, 20, 30, 40]
    assert [values["loss"] for _, values in found] == [1 / 10, 1 / 20, 1 / 30, 1 / 40]
    assert [values["learning_rate"] for _, values in found] == [9, 19, 29, 39]
    assert all("text._type" in values for _, values in found)
    assert links_out(workdir) == []


def test_what_a_kill_lost_is_written_when_the_run_continues(tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    write(workdir, [], [10, 20], end="kill")
    assert links_out(workdir) == []
    (path,) = (workdir / "wandb").glob("offline-run-*/*.wandb")
    path.write_bytes(path.read_bytes()[:7])  # W&B puts what it has onto the disk every 15 s
    write(workdir, [row(1), row(2)], [30])
    assert [step for step, _ in history(workdir)] == [10, 20, 30]


def test_records_of_many_blocks_are_read_and_those_behind_damage_are_not(tmp_path):
    from foodjax.workdir.wandb_file import read_steps

    code = (
        "import sys, wandb; run = wandb.init(id='long', dir=sys.argv[1], settings=wandb.Settings(silent=True));"
        "[run.log({'text': str(k) * 50_000}, step=k) for k in range(1, 9)]; run.finish()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], env=os.environ | OFFLINE, check=True, timeout=300)
    (path,) = (tmp_path / "wandb").glob("offline-run-*/run-long.wandb")
    assert path.stat().st_size > 8 * 50_000
    assert read_steps(tmp_path / "wandb", "long") == set(range(1, 9))
    content = bytearray(path.read_bytes())
    place = content.index(b"4" * 1000)
    path.write_bytes(content[:place])
    assert read_steps(tmp_path / "wandb", "long") == {1, 2, 3}
    content[place] ^= 1
    path.write_bytes(content)
    assert read_steps(tmp_path / "wandb", "long") == {1, 2, 3}
    path.write_bytes(b"something else")
    assert read_steps(tmp_path / "wandb", "long") == set()


def test_a_killed_training_continues_in_the_same_run(tmp_path):
    workdir = tmp_path / "run"
    arguments = [
        "--config", "demo", f"--config.data.cache_dir={tmp_path}/cache", "--workdir", workdir,
        "--config.data.drawn_train=12", "--config.data.drawn_test=5", "--config.data.image_size=16",
        "--config.log.writers=tensorboard,wandb",
    ]  # fmt: skip
    process = start_main(*arguments, "--config.train.epochs=500", environment=OFFLINE, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 240
    while len(read_metrics(workdir / "metrics.jsonl")) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    epochs = len(read_metrics(workdir / "metrics.jsonl")) + 2
    assert epochs >= 5
    result = run_main(*arguments, f"--config.train.epochs={epochs}", environment=OFFLINE, check=True)
    assert re.search(r"W&B: offline; `wandb sync` uploads \S+/wandb/offline-run-\*-[0-9a-f]{16}\n", result.stdout)
    assert result.stderr == ""
    rows, found = read_metrics(workdir / "metrics.jsonl"), history(workdir)
    assert len(list((workdir / "wandb").glob("offline-run-*"))) == 2
    assert [step for step, _ in found] == [row["step"] for row in rows]
    for (_, values), expected in zip(found, rows, strict=True):
        assert {name: values[name] for name in expected if name != "step"} == {
            name: value for name, value in expected.items() if name != "step"
        }
    assert "validation photographs and predictions._type" in found[-1][1]
    assert links_out(workdir) == []


def test_without_a_key_or_a_network_one_line_says_what_is_needed(tmp_path):
    nowhere = {"HOME": str(tmp_path), "WANDB_ERROR_REPORTING": "false", "NETRC": str(tmp_path / "none")}
    small = [f"--config.data.{name}" for name in ("drawn_train=12", "drawn_test=5", "image_size=16")]
    result = run_main(
        "--config", "demo", f"--config.data.cache_dir={tmp_path}/cache", "--workdir", tmp_path / "run", *small,
        "--config.log.writers=wandb", environment=nowhere, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == (
        "error: log.writers has 'wandb', and W&B does not start a run (no key is known here): needs the network and "
        "`wandb login`, or WANDB_MODE=offline, or another log.writers\n"
    )


def test_a_strange_id_is_not_used(tmp_path):
    from foodjax.workdir.wandb import _identity

    for text in ("", "[]", '{"id": 3}', '{"id": "../../x"}', '{"id": ""}'):
        (tmp_path / "wandb.json").write_text(text)
        found = _identity(tmp_path)
        assert re.fullmatch("[0-9a-f]{16}", found)
        assert _identity(tmp_path) == found


def test_a_picture_and_a_text_are_whole(tmp_path):
    code = WRITER.replace('log.write_text(step, "text", "a < b")', "log.write_image(step, 'p', pixels)")
    code = code.replace(
        "config = demo", "import numpy as np\npixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)\nconfig = demo"
    )
    command = [sys.executable, "-c", code, tmp_path, "[]", "10", "close"]
    subprocess.run(command, cwd=ROOT, env=os.environ | OFFLINE, check=True, timeout=300)
    from PIL import Image

    (path,) = Path(tmp_path / "wandb").glob("offline-run-*/files/media/images/*.png")
    np.testing.assert_array_equal(np.asarray(Image.open(path)), np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
