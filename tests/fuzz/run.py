"""Feeds a target of `targets` with broken files until the time is up or something else than a UserError comes out.

    python tests/fuzz/run.py TARGET|all --folder DIR [--seconds 60] [--seed 0] [--blind]

Coverage of foodjax and of Pillow's Python guides it where atheris is installed (`pip install -e '.[fuzz]'`: wheels for
Linux on x86-64); without it, or with --blind, the seeds are mutated at random. What was interesting is kept under
--folder and taken up again by the next call. The status is not 0 when something was found; the input lies in
DIR/TARGET/findings.
"""

import argparse
import contextlib
import faulthandler
import hashlib
import importlib.util
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from helpers import memory_mib  # noqa: E402, it imports nothing of foodjax

HANG = 5  # seconds that one input may take
MOST = 512  # MiB that one input may take


def mutate(rng: random.Random, seeds: list[bytes]) -> bytes:
    """Returns a seed in which some bytes were replaced, inserted, removed, doubled, or taken from another seed."""
    content = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 8)):
        at = rng.randint(0, len(content))
        length = rng.choice((1, 1, 1, 2, 4, 8, rng.randint(1, 600)))
        match rng.randrange(6):
            case 0:
                content[at : at + length] = rng.randbytes(length)
            case 1:
                content[at:at] = rng.choice((b"\0", b"\xff", b"-", b"9", b"(", b"[", b"{}", b"\n")) * length
            case 2:
                del content[at : at + length]
            case 3:
                content[at:at] = content[at : at + length] * rng.choice((1, 2, 50))
            case 4:
                other = rng.choice(seeds)
                start = rng.randint(0, len(other))
                content[at:] = other[start:]
            case 5 if at < len(content):
                content[at] ^= 1 << rng.randrange(8)
    return bytes(content[: 2**17])


def blind(target, folder: Path, seconds: float, seed: int) -> str:
    """Feeds mutated seeds; returns the traceback of the first finding, kept in folder/findings, or ""."""
    rng, seeds, end, count = random.Random(seed), target.seeds(), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        content = mutate(rng, seeds) if count >= len(seeds) else seeds[count]
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            target.feed(folder / "scratch", content)
        except Exception:
            path = folder / "findings" / hashlib.sha256(content).hexdigest()[:16]
            path.write_bytes(content)
            return f"{path}\n{traceback.format_exc()}"
        finally:
            faulthandler.cancel_dump_traceback_later()
        count += 1
    print(f"{folder.name}: {count} inputs at random in {seconds:.0f} s, no finding")
    return ""


def guided(name: str, folder: Path, seconds: int, seed: int) -> None:
    """Hands this process to libFuzzer, which ends it: it prints "Done N runs", or a finding, with status 77."""
    import atheris

    for module in ("tarfile", "zipfile", "csv"):
        sys.modules.pop(module, None)  # imported again, with what counts its branches
    with atheris.instrument_imports(
        include=["foodjax", "PIL", "tarfile", "zipfile", "csv", "h11", "uvicorn.protocols"]
    ):
        from targets import TARGETS

        import foodjax  # not before: what is imported already is not instrumented

    foodjax.setup()  # as the command line does
    target = choose(TARGETS, name)
    for seed_content in target.seeds():
        target.feed(folder / "scratch", seed_content)  # imports and compiles what the time limit is not for
        (folder / "corpus" / hashlib.sha256(seed_content).hexdigest()[:16]).write_bytes(seed_content)
    most = int(memory_mib("VmRSS")) + 16 * MOST
    arguments = [
        f"-max_total_time={seconds}", f"-seed={seed + 1}", f"-timeout={HANG}", f"-rss_limit_mb={most}",
        f"-artifact_prefix={folder / 'findings'}/", "-print_final_stats=1", "-max_len=65536", "-verbosity=0",
    ]  # fmt: skip
    atheris.Setup(
        [sys.argv[0], *arguments, str(folder / "corpus")], lambda content: measured(target, folder / "scratch", content)
    )
    atheris.Fuzz()


def measured(target, scratch: Path, content: bytes) -> None:
    """Feeds one input; raises MemoryError if its peak is more than MOST above what was there.

    HDF5 never frees what it took before it was refused more, so the memory after many inputs says nothing of one.
    """
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory_mib("VmRSS")
    target.feed(scratch, content)
    if (taken := memory_mib("VmHWM") - before) > MOST:
        raise MemoryError(f"{taken:.0f} MiB")


def choose(targets, name: str):
    if name not in targets:
        sys.exit(f"target is {name!r}: needs all, or one of {', '.join(targets)}")
    return targets[name]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blind", action="store_true")
    args = parser.parse_args()
    if args.target == "all":
        from targets import TARGETS

        # One process each: a finding, and libFuzzer, end it.
        options = [f"--folder={args.folder}", f"--seconds={args.seconds}", f"--seed={args.seed}"]
        options += ["--blind"] * args.blind
        return max(subprocess.run([sys.executable, __file__, name, *options]).returncode != 0 for name in TARGETS)
    folder = args.folder.resolve() / args.target
    for name in ("corpus", "findings", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if not args.blind and importlib.util.find_spec("atheris"):
        with contextlib.suppress(KeyboardInterrupt):
            guided(args.target, folder, args.seconds, args.seed)
        return 1  # not reached: libFuzzer ends the process
    from targets import TARGETS

    import foodjax

    foodjax.setup()  # as the command line does
    found = blind(choose(TARGETS, args.target), folder, args.seconds, args.seed)
    print(found, end="", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
