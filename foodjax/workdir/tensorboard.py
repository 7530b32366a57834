"""Event files for TensorBoard: scalars, texts and pictures. Imports no TensorFlow."""

import io
import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.tensor_pb2 import TensorProto  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.types_pb2 import DT_STRING  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter, masked_crc32c

from foodjax.system import files
from foodjax.workdir.writer import Opened

FOLDER = "tensorboard"
_VALIDATION = "val_"  # begins the names of what is measured on the validation images


class TensorBoard:
    """The writer for TensorBoard: event files in three folders, each a run for it.

    `train/` and `validation/` have the same names of curves, so that one card shows both, and so has a folder of each
    set of eval.more. The folder above has texts and pictures, and the curves of runs that an older version began.

    Attributes:
        steps: whose numbers both have.
    """

    def __init__(self, opened: Opened):
        """Drops what an interrupted run wrote after the step that it continues at."""
        folder = opened.workdir / FOLDER
        self._shown, self._train, self._validation = (
            EventFile(folder / name, opened.step) for name in ("", "train", "validation")
        )
        self._files = {"": self._train, _VALIDATION: self._validation}
        self._files |= {f"{name}_": EventFile(folder / name, opened.step) for name, _ in opened.config.eval.more}
        self.steps = self._train.steps & self._validation.steps

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Adds a point to the curve of each name, where it has none at this step."""
        scalars: dict[str, dict[str, float]] = {prefix: {} for prefix in self._files}
        for name, value in numbers.items():
            prefix = next((prefix for prefix in self._files if prefix and name.startswith(prefix)), "")
            scalars[prefix][name.removeprefix(prefix)] = value
        for prefix, file in self._files.items():
            if scalars[prefix] and step not in file.steps:
                file.write_scalars(step, scalars[prefix])

    def write_text(self, step: int, tag: str, markdown: str) -> None:
        """Adds a text."""
        self._shown.write_text(step, tag, markdown)

    def write_image(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Adds a picture, uint8 (H, W, 3)."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        self._shown.write_image(step, tag, buffer.getvalue(), *pixels.shape[:2])

    def flush(self) -> None:
        """Does nothing: every record goes to the file at once."""

    def close(self, *, finished: bool) -> None:
        """Ends the files."""
        del finished
        for file in (self._shown, *self._files.values()):
            file.close()


class EventFile:
    """A new event file in a folder of TensorBoard, for the steps after a given one.

    Attributes:
        steps: for which the folder held summaries before this file.
    """

    def __init__(self, folder: Path, step: int):
        """Drops the records of steps after `step`, which an interrupted run wrote, then opens the file."""
        self.steps = {kept for path in sorted(folder.glob("events.out.tfevents.*")) for kept in _keep_until(path, step)}
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"  # newest last
        self._records = RecordWriter((folder / name).open("xb"))
        self._records.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())

    def write(self, step: int, *values: Any) -> None:
        """Adds summaries, `Summary.Value`s, of one step and hands them to the system."""
        event = Event(step=step, wall_time=time.time(), summary=Summary(value=values))
        self._records.write(event.SerializeToString())
        self._records.flush()

    def write_scalars(self, step: int, scalars: dict[str, float]) -> None:
        """Adds a point to the curve of each name."""
        self.write(step, *(Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()))

    def write_text(self, step: int, tag: str, markdown: str) -> None:
        """Adds a text."""
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        tensor = TensorProto(dtype=DT_STRING, string_val=[markdown.encode("utf-8", "backslashreplace")])
        self.write(step, Summary.Value(tag=tag, metadata=metadata, tensor=tensor))

    def write_image(self, step: int, tag: str, png: bytes, height: int, width: int) -> None:
        """Adds an RGB picture, given as a PNG file."""
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        self.write(step, Summary.Value(tag=tag, image=image))

    def close(self) -> None:
        """Ends the file."""
        self._records.close()


def _keep_until(path: Path, step: int) -> set[int]:
    """Drops the records of later steps, and everything from the first damaged one on; returns the steps kept."""
    content, kept, steps, at = files.read_bytes(path), [], set(), 0
    while len(content) - at >= 12:
        # A record is its length, 8 bytes, a checksum of it, 4, the event, and a checksum of that, 4.
        end = at + 12 + int.from_bytes(content[at : at + 8], "little") + 4
        body = content[at + 12 : end - 4]
        if end > len(content) or masked_crc32c(body) != int.from_bytes(content[end - 4 : end], "little"):
            break
        try:
            event = Event.FromString(body)
        except DecodeError:
            break
        if event.step <= step:
            kept.append(content[at:end])
            if event.HasField("summary"):
                steps.add(event.step)
        at = end
    text = b"".join(kept)
    if text != content:
        files.write_bytes(path, text)
    return steps
