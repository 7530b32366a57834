"""Operations on single entries, of one array or of several that broadcast."""

from collections.abc import Callable
from typing import Any

import numpy as np

from foodjax.exchange.to_onnx.graph import Unsupported
from foodjax.exchange.to_onnx.values import Axes, Value, constant, place

_DTYPES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13,
}  # fmt: skip


def together(shape: tuple[int, ...], *values: Value) -> Axes:
    """Returns the order of axes in which values meet: that of the one with most axes, if it has all of them."""
    main = max((value for value in values), key=lambda value: (len(value.held), not value.is_constant))
    has_all = all(set(value.held) <= set(main.held) for value in values)
    return main.axes if has_all else tuple(range(len(shape)))


def apply(walk: Any, op: str, shape: tuple[int, ...], *values: Value, **attributes: Any) -> Value:
    """Adds a node that works on single entries.

    Args:
        walk: whose graph gets it.
        op: name in ONNX.
        shape: of the result.
        *values: the inputs; scalars too.
        **attributes: of the node.
    """
    order = together(shape, *values)
    names = [place(walk.graph, value, order, broadcast=True) for value in values]
    held = {axis for value in values for axis in value.held}
    axes = tuple(axis if axis in held else None for axis in order)
    return Value(shape, axes, walk.graph.add(op, *names, **attributes))


def _node(op: str) -> Callable[..., Value]:
    return lambda walk, eqn, *values: apply(walk, op, eqn.outvars[0].aval.shape, *values)


def _limit(op: str, unbounded: float) -> Callable[..., Value]:
    """Max or Min; with a constant the forms that runtimes merge with the operation before."""

    def form(walk: Any, eqn: Any, *values: Value) -> Value:
        shape = eqn.outvars[0].aval.shape
        fixed = [value.array.reshape(()) for value in values if value.array is not None and value.array.size == 1]
        others = [value for value in values if not value.is_constant]
        if len(fixed) == 1 and len(others) == 1:
            (limit,), (x,) = fixed, others
            if limit == unbounded:
                return x
            if op == "Max" and limit == 0:
                return apply(walk, "Relu", shape, x)
            inputs = (walk.graph.constant(limit),) if op == "Max" else ("", walk.graph.constant(limit))
            return Value(shape, x.axes, walk.graph.add("Clip", x.name, *inputs))
        return apply(walk, op, shape, *values)

    return form


def _cast(walk: Any, eqn: Any, x: Value) -> Value:
    dtype = np.dtype(eqn.params["new_dtype"])
    if eqn.invars[0].aval.dtype == dtype:
        return x
    return apply(walk, "Cast", x.shape, x, to=_DTYPES[dtype.name])


def _power(walk: Any, eqn: Any, x: Value, exponent: Value | None = None) -> Value:
    if exponent is None:
        y = eqn.params["y"]
        if y == 2:
            return apply(walk, "Mul", x.shape, x, x)
        exponent = constant(np.asarray(y, eqn.invars[0].aval.dtype))
    return apply(walk, "Pow", x.shape, x, exponent)


def _rsqrt(walk: Any, eqn: Any, x: Value) -> Value:
    return apply(walk, "Reciprocal", x.shape, apply(walk, "Sqrt", x.shape, x))


def _erfc(walk: Any, eqn: Any, x: Value) -> Value:
    one = constant(np.ones((), eqn.invars[0].aval.dtype))
    return apply(walk, "Sub", x.shape, one, apply(walk, "Erf", x.shape, x))


def _clamp(walk: Any, eqn: Any, low: Value, x: Value, high: Value) -> Value:
    return apply(walk, "Min", x.shape, apply(walk, "Max", x.shape, x, low), high)


def _select(walk: Any, eqn: Any, which: Value, *cases: Value) -> Value:
    if len(cases) != 2:
        raise Unsupported(f"{len(cases)} cases")
    no, yes = cases
    return apply(walk, "Where", yes.shape, which, yes, no)


FORMS: dict[str, Callable[..., Value]] = {
    name: _node(op)
    for name, op in {
        "add": "Add", "add_any": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "abs": "Abs",
        "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh", "logistic": "Sigmoid", "erf": "Erf",
        "floor": "Floor", "ceil": "Ceil", "sign": "Sign", "sin": "Sin", "cos": "Cos", "eq": "Equal", "lt": "Less",
        "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual", "and": "And", "or": "Or", "not": "Not",
    }.items()
}  # fmt: skip
FORMS |= {
    "max": _limit("Max", -np.inf), "min": _limit("Min", np.inf), "convert_element_type": _cast,
    "integer_pow": _power, "pow": _power, "rsqrt": _rsqrt, "erfc": _erfc, "clamp": _clamp, "select_n": _select,
    "square": lambda walk, eqn, x: apply(walk, "Mul", x.shape, x, x),
}  # fmt: skip
