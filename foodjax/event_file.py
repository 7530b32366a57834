"""Scalars for TensorBoard, written with tensorboard's own parts and without TensorFlow."""

import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """A new event file in a folder that TensorBoard watches."""

    def __init__(self, folder: Path):
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

    def close(self) -> None:
        """Ends the file."""
        self._records.close()
