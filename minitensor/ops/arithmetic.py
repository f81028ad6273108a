"""Arithmetic, element by element with broadcasting: add, sub, mul, div, neg, pow.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row.
Kernels: csrc/kernels/arithmetic.cpp.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import apply
from .common import TWO, draws, elementwise, promote

# --- add --------------------------------------------------------------------------------------------------------------

ADD = elementwise(
    "add",
    reference=np.add,
    kernel=None,
    rules=(lambda g: g, lambda g: g),
    saves="",
    samples=draws(*TWO),
    exact=True,
)


def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    r"""Sum.

        forward    out = x + alpha * y
        backward   dx = g,  dy = alpha * g

    Shapes broadcast; a dtype is promoted. Bools add as "or".

    >>> mt.add(mt.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    if alpha != 1:
        other = mul(other, alpha)
    return apply(ADD, *promote("add", input, other))


# --- mul --------------------------------------------------------------------------------------------------------------

MUL = elementwise(
    "mul",
    reference=np.multiply,
    kernel=None,
    rules=(lambda g, _x, y: mul(g, y), lambda g, x, _y: mul(g, x)),
    saves="x y",
    samples=draws(*TWO),
    exact=True,
)


def mul(input: Any, other: Any) -> Any:
    r"""Product.

        forward    out = x * y
        backward   dx = g * y,  dy = g * x

    Shapes broadcast; a dtype is promoted.

    >>> mt.mul(mt.tensor([1.0, 2.0]), 10)
    tensor([10., 20.])
    """
    return apply(MUL, *promote("mul", input, other))
