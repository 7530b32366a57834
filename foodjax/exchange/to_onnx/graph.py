"""An ONNX graph while it is made: nodes in the order of their computation, and constants."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np


class Unsupported(Exception):
    """A use of a primitive for which ONNX has no form here; the message completes "the primitive ... with"."""


@dataclass
class Node:
    """An operation with one output.

    Attributes:
        op: its name in ONNX.
        inputs: names of tensors; "" for one that is left out.
        output: name of a tensor.
        attributes: as ONNX takes them.
        notes: what only the passes of `simplify` read.
    """

    op: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


class Graph:
    """Nodes and constants.

    Attributes:
        nodes: in the order of their computation.
        constants: arrays by the names of their tensors.
        output: name of the tensor that is the result.
    """

    def __init__(self):
        """Makes an empty graph."""
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self.output = ""
        self._named: dict[bytes, str] = {}  # digest of a constant -> its name

    def add(self, op: str, *inputs: str, notes: dict[str, Any] | None = None, **attributes: Any) -> str:
        """Appends a node and returns the name of its output."""
        output = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(Node(op, list(inputs), output, attributes, notes or {}))
        return output

    def constant(self, array: np.ndarray) -> str:
        """Returns the name of a constant; equal arrays have one name."""
        array = np.asarray(array, order="C")
        digest = hashlib.sha256(f"{array.dtype} {array.shape} ".encode() + array.tobytes()).digest()
        if digest not in self._named:
            self._named[digest] = f"constant_{len(self._named)}"
            self.constants[self._named[digest]] = array
        return self._named[digest]

    def integers(self, *values: int) -> str:
        """Returns the name of a constant of int64, as shapes and axes are."""
        return self.constant(np.array(values, np.int64))
