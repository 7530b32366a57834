"""Receptive fields, computed from a network's jaxpr.

Since a jaxpr is the traced computation, this works for any architecture, without running it. Entry (i, j, ...) of an
array sees the picture's rows low + s_0 i + s_1 j + ... to high + s_0 i + s_1 j + ..., with one stride s per axis.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
from jax.extend import core

from foodjax.models.reshapes import groups

_NONLOCAL = {"rev", "sort", "cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "fft", "gather", "dynamic_slice"}
# Each repeats an operand along axes where that has one entry, such as a mean that is subtracted.
_REPEATING = {"add", "sub", "mul", "div", "max", "min", "pow"}


class Reach(NamedTuple):
    """The rows of the picture that the entries of an array see; -inf to inf if unknown.

    Attributes:
        low: first row that the entry of index 0 sees.
        high: last row that it sees.
        strides: shift in rows from one entry to the next, along each axis.
    """

    low: float
    high: float
    strides: tuple[int, ...]

    @property
    def size(self) -> float:
        """Number of rows that an entry sees."""
        return self.high - self.low + 1

    def over(self, axes: Iterable[int], shape: tuple[int, ...]) -> "Reach":
        """Returns the joint reach of all entries along `axes`, whose strides become 0."""
        low, high, strides = self.low, self.high, list(self.strides)
        for axis in axes:
            end = strides[axis] * (shape[axis] - 1)
            low, high, strides[axis] = low + min(end, 0), high + max(end, 0), 0
        return Reach(low, high, tuple(strides))


def trace(function: Callable, args: Any, images: Any) -> list[Reach | None]:
    """Returns the reach of every array in the result of function(args, images).

    Args:
        function: returns a list of arrays.
        args: its first argument, a pytree of shapes without the picture.
        images: shape of the pictures, (B, H, W, C).

    Returns:
        The reach of each array; None for one that does not see the picture.
    """
    jaxpr = jax.make_jaxpr(function)(args, images).jaxpr
    return _follow(jaxpr, [None] * len(jax.tree.leaves(args)) + [Reach(0, 0, (0, 1, 0, 0))])


def _follow(jaxpr: Any, inputs: list[Reach | None]) -> list[Reach | None]:
    seen: dict[Any, Reach | None] = dict(zip(jaxpr.invars, inputs, strict=True))

    def look(atom):
        return None if isinstance(atom, core.Literal) else seen.get(atom)

    for eqn in jaxpr.eqns:
        reaches = [look(atom) for atom in eqn.invars]
        inner = _inner(eqn)
        if inner is not None:
            outputs = _follow(inner, reaches[len(reaches) - len(inner.invars) :])  # a cond's first input is its index
        else:
            outputs = [_step(eqn, reaches, out.aval.shape) if any(reaches) else None for out in eqn.outvars]
        seen.update(zip(eqn.outvars, outputs, strict=True))
    return [look(atom) for atom in jaxpr.outvars]


def _inner(eqn: Any) -> Any:
    """Returns the jaxpr that an equation calls; for a choice by platform the last branch, the textbook form."""
    called = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
    if eqn.primitive.name == "cond":
        called = eqn.params["branches"][-1]
    return getattr(called, "jaxpr", called)


def _step(eqn: Any, reaches: list, shape: tuple[int, ...]) -> Reach:
    """Returns the reach of an equation's output of `shape`; at least one of its inputs sees the picture."""
    name, params = eqn.primitive.name, eqn.params
    everything = Reach(-math.inf, math.inf, (0,) * len(shape))
    shapes = [atom.aval.shape for atom in eqn.invars]
    if sum(r is not None for r in reaches) == 1:
        k = next(i for i, r in enumerate(reaches) if r is not None)
        x, before = reaches[k], shapes[k]
        if name == "conv_general_dilated":
            return _conv(eqn, x, before, len(shape)) if k == 0 else everything
        if name.startswith("reduce_window"):
            return _window(x, params["window_dimensions"], params["window_strides"], params["padding"])
        if name == "reshape":
            return _reshape(x, before, shape)
        if name == "squeeze":
            return x._replace(strides=tuple(s for i, s in enumerate(x.strides) if i not in params["dimensions"]))
        if name == "transpose":
            return x._replace(strides=tuple(x.strides[i] for i in params["permutation"]))
        if name == "broadcast_in_dim":
            strides = [0] * len(shape)
            for i, axis in enumerate(params["broadcast_dimensions"]):
                strides[axis] = x.strides[i] if before[i] == shape[axis] else 0
            return x._replace(strides=tuple(strides))
        if name == "slice":
            steps = params["strides"] or (1,) * len(shape)
            shift = sum(s * start for s, start in zip(x.strides, params["start_indices"], strict=True))
            strides = tuple(s * step for s, step in zip(x.strides, steps, strict=True))
            return Reach(x.low + shift, x.high + shift, strides)
        if name == "pad" and not any(interior for *_, interior in params["padding_config"]):
            shift = sum(s * low for s, (low, *_) in zip(x.strides, params["padding_config"], strict=True))
            return Reach(x.low - shift, x.high - shift, x.strides)
        if name.startswith(("reduce_", "arg")) and "axes" in params:
            x = x.over(params["axes"], before)
            return x._replace(strides=tuple(s for i, s in enumerate(x.strides) if i not in params["axes"]))
        if name == "dot_general":
            contracted, batch = (axes[k] for axes in params["dimension_numbers"])
            x = x.over(contracted, before)
            free = [x.strides[i] for i in range(len(before)) if i not in (*contracted, *batch)]
            others = [0] * (len(shape) - len(free) - len(batch))
            ordered = free + others if k == 0 else others + free
            return x._replace(strides=(*(x.strides[i] for i in batch), *ordered))
    if name in _REPEATING:
        reaches = [r and _repeat(r, before, shape) for r, before in zip(reaches, shapes, strict=True)]
        shapes = [shape] * len(shapes)
    seen = [r for r in reaches if r is not None]
    if name in _NONLOCAL or any(s != shape for s, r in zip(shapes, reaches, strict=True) if r is not None):
        return everything
    # Elementwise: the joint reach of the inputs. Along axes where their strides differ, that of all entries.
    apart = [i for i in range(len(shape)) if len({r.strides[i] for r in seen}) > 1]
    seen = [r.over(apart, shape) for r in seen]
    return Reach(min(r.low for r in seen), max(r.high for r in seen), seen[0].strides)


def _repeat(x: Reach, before: tuple[int, ...], after: tuple[int, ...]) -> Reach:
    """Returns the reach of an operand whose only entry along an axis is repeated along it; a scalar's along all."""
    if not before:
        return x._replace(strides=(0,) * len(after))
    return x._replace(strides=tuple(s if a == b else 0 for s, a, b in zip(x.strides, before, after, strict=True)))


def _window(x: Reach, sizes: Any, steps: Any, padding: Any, dilations: Any = None) -> Reach:
    """Returns the reach of an operation over windows along every axis."""
    low, high = x.low, x.high
    for s, size, (before, _), dilation in zip(x.strides, sizes, padding, dilations or [1] * len(sizes), strict=True):
        low, high = low - s * before, high + s * ((size - 1) * dilation - before)
    return Reach(low, high, tuple(s * step for s, step in zip(x.strides, steps, strict=True)))


def _conv(eqn: Any, x: Reach, before: tuple[int, ...], ndim: int) -> Reach:
    spec, kernel = eqn.params["dimension_numbers"], eqn.invars[1].aval.shape
    x = x.over([spec.lhs_spec[1]], before)  # channels are summed over
    if any(d != 1 for d in eqn.params["lhs_dilation"]):
        return Reach(-math.inf, math.inf, (0,) * ndim)
    spatial = Reach(x.low, x.high, tuple(x.strides[axis] for axis in spec.lhs_spec[2:]))
    sizes = [kernel[axis] for axis in spec.rhs_spec[2:]]
    params = eqn.params
    out = _window(spatial, sizes, params["window_strides"], params["padding"], params["rhs_dilation"])
    strides = [0] * ndim
    strides[spec.out_spec[0]] = x.strides[spec.lhs_spec[0]]
    for axis, s in zip(spec.out_spec[2:], out.strides, strict=True):
        strides[axis] = s
    return out._replace(strides=tuple(strides))


def _reshape(x: Reach, before: tuple[int, ...], after: tuple[int, ...]) -> Reach:
    """Returns the reach after a reshape: exact for split axes, joint for all entries of merged axes."""
    strides = [0] * len(after)
    for group, parts in groups(before, after):
        if len(group) > 1:
            x = x.over(group, before)
            continue
        stride = x.strides[group[0]]
        for i in reversed(parts):
            strides[i], stride = stride, stride * after[i]
    return x._replace(strides=tuple(strides))
