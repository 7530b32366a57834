"""Benchmark of the page of foodjax export --format web, in Chromium: its bytes, its times, and who agrees with it.

    pip install 'foodjax[export]' playwright
    python benchmarks/web_page.py --workdir RUN --photos FOLDER

Exports a run, opens the page from its file in a Chromium that resolves no name, and predicts 100 photographs with it.
Compares their pixels and classes with `foodjax predict`. Prints a row, of times the median and the lowest, and adds it
to benchmarks/results/web_page.json.
"""

import argparse
import base64
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from step import HERE, machine

from foodjax.exchange.export import export
from foodjax.run.predict import Predictor

ANSWER = """async (text) => {
  const found = await answer(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], "photo"));
  return { ...found, pixels: Array.from(found.pixels) };
}"""


def measure(page: Path, photos: list[Path]) -> tuple[float, list[dict]]:
    """Returns the seconds until the page is ready, and what its function `answer` returns for each photograph."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND"] + ["--no-sandbox"] * (os.geteuid() == 0)
    with sync_playwright() as playwright:
        tab = playwright.chromium.launch(executable_path=path, args=arguments).new_page()
        start = time.perf_counter()
        tab.goto(page.absolute().as_uri())
        tab.evaluate("loaded.then(() => 0)")
        seconds = time.perf_counter() - start
        return seconds, [tab.evaluate(ANSWER, base64.b64encode(photo.read_bytes()).decode()) for photo in photos]


def times(found: list[dict], name: str) -> dict[str, float]:
    """Returns median and lowest time; the lowest says more on a machine that other programs share."""
    milliseconds = [one[name] for one in found]
    return {"median": statistics.median(milliseconds), "lowest": min(milliseconds)}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True, help="a folder; 100 photographs, evenly chosen, are used")
    parser.add_argument("--runtime", type=Path, help="onnxruntime-web as npm packs it")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "web_page.json")
    args = parser.parse_args()
    photos = sorted(args.photos.rglob("*.jpg"))
    photos = photos[:: max(1, len(photos) // 100)][:100]
    predictor = Predictor(args.workdir, batch_size=1)
    with tempfile.TemporaryDirectory() as folder:
        page = export(predictor.config, args.workdir, "web", Path(folder) / "model.html", runtime=args.runtime)
        size, (seconds, found) = page.stat().st_size, measure(page, photos)
    pixels = np.stack([predictor.decode(photo) for photo in photos]).astype(int)
    expected = predictor.probabilities(pixels.astype(np.uint8))
    best = [predictor.class_names[k] for k in expected.argmax(axis=1)]
    first = [one["top"][0] for one in found]
    row = {
        "machine": machine(),
        "run": predictor.config.name,
        "side": predictor.config.data.image_size,
        "photographs": len(photos),
        "bytes": size,
        "ready_s": seconds,
        "prepare_ms": times(found, "preparing"),
        "compute_ms": times(found, "computing"),
        "agree": sum(guess["class"] == ours for guess, ours in zip(first, best, strict=True)),
        "deviation": max(abs(guess["probability"] - p) for guess, p in zip(first, expected.max(axis=1), strict=True)),
        "levels": int(np.abs(np.array([one["pixels"] for one in found]).reshape(pixels.shape) - pixels).max()),
    }
    print("| run | bytes | ready s | prepare ms | compute ms | same class | deviation | levels |\n" + "|---" * 8 + "|")
    columns = [f"{row[name]['median']:.1f} ({row[name]['lowest']:.1f})" for name in ("prepare_ms", "compute_ms")]
    same = f"{row['agree']} of {len(photos)} | {row['deviation']:.1e} | {row['levels']}"
    print(f"| {row['run']} | {size:,} | {seconds:.1f} | {' | '.join(columns)} | {same} |")
    known = json.loads(args.output.read_text()) if args.output.exists() else []
    known = [other for other in known if (other["run"], other["side"]) != (row["run"], row["side"])]
    args.output.write_text(json.dumps([*known, row], indent=2) + "\n")


if __name__ == "__main__":
    main()
