"""Runs strangers' files and odd environments against checkouts of foodjax, and prints what comes of each as a table.

    python tests/attacks.py --folder DIR CHECKOUT [CHECKOUT ...] [--only TEXT ...]

Each attack gets a good run of its own, which the checkout has trained on drawn pictures, and changes it. Time and
memory are those of the command; its peak is the system's (VmHWM), of itself or the largest of its children. A command
is ended after 60 s. What the user reads is what is left out, or the last line; "WRITTEN OUTSIDE" says that a file
outside the workdir was changed or made. Linux alone.
"""

import argparse
import contextlib
import io
import json
import lzma
import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import psutil
from helpers import NO_ACCOUNT, address_limit, begun_with, make_food_root, memory_mib
from PIL import Image
from trust import test_growth as growth

LIMIT = 60  # seconds of one command
TRAIN = ["--config", "demo", "--config.train.epochs=1", "--config.data.num_classes=0"]
TRAIN += ["--config.data.batch_size=8"]
SMALL = ["--config.data.image_size=16"]
CONVS = [(3, 3, 3, 32), (3, 3, 32, 32), (3, 3, 32, 64), (3, 3, 64, 64), (3, 3, 64, 128), (3, 3, 128, 128)]
CONVS += [(5, 5, 128, 512), (5, 5, 512, 512)]  # kernels of the tutorial's network


class Attack(NamedTuple):
    """A command: its arguments, variables, what the process does first; and the bytes of the attack."""

    arguments: list
    size: int = 0
    variables: dict = {}
    begin: str = ""  # Python
    pipe: bool = False  # only the first line of the output is read


def overwrite(place: Path, outside: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside)


def linked(name: str, to_folder: bool = False) -> Callable:
    """A link of a run to a file or a folder outside."""

    def attack(run: Path, folder: Path) -> Attack:
        overwrite(run / name, folder / "outside" if to_folder else folder / "outside/precious")
        return Attack(["evaluate", "--workdir", run])

    return attack


def packed(kind: str) -> Callable:
    """An archive that grows."""

    def attack(run: Path, folder: Path) -> Attack:
        path = folder / "food.tar.xz"
        path.write_bytes(lzma.compress(growth.TARS[kind]()))
        train = ["train", *TRAIN, f"--config.data.dir={path}", "--workdir", folder / "new"]
        return Attack(train, path.stat().st_size)

    return attack


def forged(change: Callable) -> Callable:
    """A checkpoint that grows."""

    def attack(run: Path, folder: Path) -> Attack:
        item = next((run / "checkpoints").glob("*/metrics")).parent
        item = next(place for place in (item / "weights", item / "state", item / "default") if place.exists())
        growth.forge(item, change)
        size = sum(path.stat().st_size for path in item.rglob("*") if path.is_file())
        return Attack(["predict", "--workdir", run, photo(folder)], size)

    return attack


def configured(change: Callable, verb: str) -> Callable:
    """A config of a run without measure."""

    def attack(run: Path, folder: Path) -> Attack:
        config = json.loads((run / "config.json").read_text())
        change(config)
        (run / "config.json").write_text(json.dumps(config))
        size = (run / "config.json").stat().st_size
        return Attack(
            ["predict", "--workdir", run, photo(folder)] if verb == "predict" else [verb, "--workdir", run], size
        )

    return attack


def keras_file(run: Path, folder: Path) -> Attack:
    """Weights of the tutorial's network whose first kernel is in a chunk that is larger than the array: 1 GiB."""
    path = folder / "w.weights.h5"
    kernels = {f"conv2d_{k}" if k else "conv2d": shape for k, shape in enumerate(CONVS)}
    kernels |= {"dense": (2048, 1024), "dense_1": (1024, 10)}
    with h5py.File(path, "w") as file:
        for name, shape in kernels.items():
            stored = file.create_group(f"layers/{name}/vars")
            if name == "conv2d":
                rows = 2**30 // (4 * math.prod(shape[1:]))
                more = {"maxshape": (None, *shape[1:]), "chunks": (rows, *shape[1:]), "compression": "gzip"}
                stored.create_dataset("0", data=np.zeros(shape, np.float32), **more)
            else:
                stored.create_dataset("0", shape, np.float32)  # HDF5 writes no zeros
            stored.create_dataset("1", shape[-1:], np.float32)
    arguments = ["import", "--keras", path, "--config", "food10", "--workdir", folder / "new"]
    return Attack(arguments, path.stat().st_size)


def photo(folder: Path) -> Path:
    Image.new("RGB", (20, 16), "red").save(folder / "photo.png")
    return folder / "photo.png"


def scans(run: Path, folder: Path) -> Attack:
    """A progressive JPEG of many scans."""
    buffer = io.BytesIO()
    Image.effect_noise((3000, 3000), 1).convert("RGB").resize((6000, 6000)).save(
        buffer, "JPEG", progressive=True, quality=1
    )
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    scan = content[last:-2]
    path = folder / "scans.jpg"
    path.write_bytes(content[:last] + scan * max(2, min(1000, 400_000 // len(scan))) + content[-2:])
    return Attack(["predict", "--workdir", run, path], path.stat().st_size)


def compared(change: Callable) -> Callable:
    """A damaged run beside a good one."""

    def attack(run: Path, folder: Path) -> Attack:
        shutil.copytree(run, folder / "runs/good")
        shutil.move(run, folder / "runs/bad")
        change(folder / "runs/bad")
        return Attack(["compare", folder / "runs/*", "--output", folder / "page"])

    return attack


def rewrite(name: str, change: Callable) -> Callable:
    def damage(run: Path) -> None:
        found = json.loads((run / name).read_text())
        change(found)
        (run / name).write_text(json.dumps(found))

    return damage


def rows_without_loss(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (run / "metrics.jsonl").write_text("".join(json.dumps({"epoch": row["epoch"]}) + "\n" for row in rows))


def not_utf_8(run: Path) -> None:
    path = run / "evaluation/predictions.csv"
    path.write_bytes(path.read_bytes().replace(b"ring", b"r\xefng"))


def strange_name(run: Path, folder: Path) -> Attack:
    """Control characters, a formula and bytes that are no UTF-8."""
    path = photo(folder).rename(folder / os.fsdecode(b"=1+1\x1b[2J\xe9.png"))
    return Attack(["predict", "--workdir", run, path, "--output", folder / "top.csv"])


def a_pipe(run: Path, folder: Path) -> Attack:
    (folder / "photos").mkdir()
    photo(folder / "photos")
    os.mkfifo(folder / "photos/pipe.jpg")
    return Attack(["predict", "--workdir", run, folder / "photos"])


def environment(verb: str = "predict", begin: str = "", pipe: bool = False, **variables) -> Callable:
    def attack(run: Path, folder: Path) -> Attack:
        new = ["train", *TRAIN, f"--config.data.dir={folder.parent / 'food-101'}", "--workdir", folder / "new"]
        arguments = new if verb == "train" else [verb, "--workdir", run, photo(folder)]
        return Attack(arguments, 0, {k: v and v.format(folder=folder) for k, v in variables.items()}, begin, pipe)

    return attack


def no_account(verb: str) -> Callable:
    """Neither HOME nor an account; Python runs NO_ACCOUNT when it starts."""

    def attack(run: Path, folder: Path) -> Attack:
        (folder / "begin").mkdir()
        (folder / "begin/sitecustomize.py").write_text(NO_ACCOUNT)
        missing = {"HOME": None, "XDG_CACHE_HOME": None, "PYTHONPATH": "{folder}/begin"}
        return environment(verb, **missing)(run, folder)

    return attack


def foreign_cache(run: Path, folder: Path) -> Attack:
    configured(lambda c: c["data"].update(cache_dir=str(folder / "outside")), "evaluate")(run, folder)
    return Attack(["evaluate", "--workdir", run])


ATTACKS = {
    "link: .report.html.tmp to a file outside": linked(".report.html.tmp"),
    "link: evaluation/.predictions.csv.tmp to a file outside": linked("evaluation/.predictions.csv.tmp"),
    "link: evaluation to a folder outside": linked("evaluation", to_folder=True),
    "a config's cache_dir outside": foreign_cache,
    **{f"tar.xz: {kind}": packed(kind) for kind in ("a long name", "many long names", "a header of many fields")},
    "chunk of .weights.h5 larger than its array": keras_file,
    "checkpoint: a zstd chunk larger than its array": forged(growth.chunk_larger_than_its_array),
    "config of 300 blocks": configured(lambda c: c["model"].update(blocks=c["model"]["blocks"][:1] * 300), "predict"),
    "config of eval_batch_size 1e11": configured(lambda c: c["data"].update(eval_batch_size=10**11), "evaluate"),
    "progressive JPEG of many scans": scans,
    "compare: a result {}": compared(rewrite("run.json", lambda r: r.update(result={}))),
    "compare: rows without val_loss": compared(rows_without_loss),
    "compare: empty metrics": compared(lambda run: (run / "metrics.jsonl").write_text("")),
    "compare: predictions.csv not UTF-8": compared(not_utf_8),
    "a photograph named =1+1, ESC [2J, a byte": strange_name,
    "a pipe among photographs": a_pipe,
    "JAX_COMPILATION_CACHE_DIR is set": environment(JAX_COMPILATION_CACHE_DIR="{folder}/mine"),
    "JAX_PLATFORMS=cuda without a GPU": environment(JAX_PLATFORMS="cuda"),
    "JAX_ENABLE_X64=1": environment(JAX_ENABLE_X64="1"),
    "train without HOME or account": no_account("train"),
    "predict without HOME or account": no_account("predict"),
    "train | head -1": environment("train", pipe=True),
    "ulimit -v of 1 GiB": environment(begin=address_limit(1)),
}  # fmt: skip


def highest(pid: int) -> float:
    """Returns the peak memory, MiB, of a process or the largest of its children."""
    found = [0.0]
    with contextlib.suppress(psutil.Error):
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            with contextlib.suppress(OSError):
                found.append(memory_mib("VmHWM", process.pid))
    return max(found)


def command_line(code: Path, arguments: list) -> list[str]:
    """Returns the arguments as a checkout takes them: those of before the verbs have --mode."""
    given = list(map(str, arguments))
    if (code / "foodjax/commands").exists():
        return given
    given = [str(code / f"experiments/{word}.py") if word in ("demo", "food10") else word for word in given]
    verb, *rest = given
    takes_value = [False, *(word.startswith("--") and "=" not in word for word in rest)]
    files = [word for word, taken in zip(rest, takes_value, strict=False) if not word.startswith("--") and not taken]
    rest = [word for word in rest if word not in files]
    if files:
        rest += ["--images" if verb == "predict" else "--runs", ",".join(files)]
    return ["--mode", verb, *rest]


def execute(code: Path, attack: Attack, folder: Path) -> tuple[float, float, str]:
    """Returns seconds, peak MiB, and the status with what the user reads."""
    variables = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "PYTHONPATH")}
    variables |= {"PYTHONPATH": str(code), "XDG_CACHE_HOME": str(folder.parent / "cache")}
    for name, value in attack.variables.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    with (
        tempfile.TemporaryFile("w+", errors="replace") as out,
        tempfile.TemporaryFile("w+", errors="replace") as err,
    ):
        start = time.monotonic()
        command = begun_with(attack.begin, [str(code / "main.py"), *command_line(code, attack.arguments)])
        process = subprocess.Popen(
            command, env=variables, cwd=folder, stderr=err,
            stdout=subprocess.PIPE if attack.pipe else out, start_new_session=True, text=True,
        )  # fmt: skip
        if attack.pipe:
            assert process.stdout
            process.stdout.readline()
            process.stdout.close()
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, highest(process.pid))
            if time.monotonic() - start > LIMIT:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.01)
        seconds = time.monotonic() - start
        texts = []
        for file in (err, out):
            file.seek(0)
            texts.append(file.read())
    lines = [line for line in texts[1].splitlines() if line.startswith("left out")][-1:]
    lines += [line for text in texts for line in text.splitlines()[-1:]]
    read = "".join(c if c.isprintable() else "?" for c in (lines or [""])[0]).replace(str(folder.parent), "")
    if "Traceback" in texts[0]:
        read = f"TRACEBACK {read}"
    if (folder / "outside/precious").read_text() != "precious" or len(list((folder / "outside").iterdir())) > 1:
        read = f"WRITTEN OUTSIDE {read}"
    if (folder / "~").exists():
        read = f'A FOLDER "~" {read}'
    return seconds, peak, f"{process.returncode}: {read[:170]}"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path, nargs="+")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[""], help="attacks whose name holds one of these")
    args = parser.parse_args()
    chosen = {name: make for name, make in ATTACKS.items() if any(text in name for text in args.only)}
    if not chosen:
        parser.error(f"--only {' '.join(args.only)}: no attack's name holds it")
    for code in args.checkouts:
        if not (code / "main.py").exists():
            parser.error(f"{code} is no checkout of foodjax: it has no main.py")
    print("| attack | bytes | checkout | s | MiB | status: what the user reads |\n|---|---|---|---|---|---|")
    for number, code in enumerate(path.resolve() for path in args.checkouts):
        commit = subprocess.check_output(["git", "-C", code, "rev-parse", "--short", "HEAD"], text=True).strip()
        root = args.folder.resolve() / f"{number}"
        if not (root / "good/finished.json").exists():
            (root / "first/outside").mkdir(parents=True)
            (root / "first/outside/precious").write_text("precious")
            make_food_root(root / "food-101", num_train=20, num_test=15)
            train = ["train", *TRAIN, *SMALL, f"--config.data.dir={root / 'food-101'}", "--workdir", root / "good"]
            assert execute(code, Attack(train), root / "first")[2].startswith("0")
        for name, make in chosen.items():
            with tempfile.TemporaryDirectory(dir=root) as folder:
                place = Path(folder)
                (place / "outside").mkdir()
                (place / "outside/precious").write_text("precious")
                shutil.copytree(root / "good", place / "run", symlinks=True)
                attack = make(place / "run", place)
                seconds, peak, read = execute(code, attack, place)
                name, read = (text.replace("|", "\\|") for text in (name, read.replace(f"/{place.name}", "")))
                print(
                    f"| {name} | {attack.size or ''} | {commit} | {seconds:.1f} | {peak:.0f} | {read} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
