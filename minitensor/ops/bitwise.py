"""Integers bit by bit, and their divisors: bitwise_and ..., shifts, gcd, lcm. None has a derivative.

NumPy computes all of it; there are no kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import DtypeError
from ..graph.record import apply
from ..op import Op, Sample
from .common import elementwise, promote, raw, write_out


def _integers(count: int) -> Callable[[np.random.Generator], Iterator[Sample]]:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shapes in (((2, 3), (2, 3)), ((2, 1), (3,)), ((), (4,)), ((0,), (1,))):
            yield Sample(tuple([np.asarray(rng.integers(-5, 6, shape)) for shape in shapes[:count]]))

    return samples


def _row(name: str, reference: Callable[..., Any], arguments: int = 2) -> Op:
    return elementwise(
        name,
        reference=reference,
        kernel=None,
        rules=(None,) * arguments,
        saves="",
        samples=_integers(arguments),
    )


def _run(op: Op, kinds: str, out: Any, *values: Any) -> Any:
    arrays = promote(op.name, *values)
    dtype = raw(arrays[0]).dtype
    if dtype.kind not in kinds:
        raise DtypeError(f"{op.name}: expected integers{' or bools' if 'b' in kinds else ''}, got {dtype}")
    result = apply(op, *arrays)
    return result if out is None else write_out(op.name, result, out)


# --- and, or, xor, not ------------------------------------------------------------------------------------------------

BITWISE_AND = _row("bitwise_and", np.bitwise_and)
BITWISE_OR = _row("bitwise_or", np.bitwise_or)
BITWISE_XOR = _row("bitwise_xor", np.bitwise_xor)
BITWISE_NOT = _row("bitwise_not", np.bitwise_not, 1)


def bitwise_and(input: Any, other: Any, *, out: Any = None) -> Any:
    """The bits that both have; of bools, "and". Also `x & y`.

    Shapes broadcast; a dtype is promoted. Raises DtypeError for floats, like all functions of bits.

    >>> mt.bitwise_and(mt.tensor([12, 10]), 6)
    tensor([4, 2])
    """
    return _run(BITWISE_AND, "biu", out, input, other)


def bitwise_or(input: Any, other: Any, *, out: Any = None) -> Any:
    """The bits that one or both have; of bools, "or". Also `x | y`.

    >>> mt.bitwise_or(mt.tensor([12, 10]), 6)
    tensor([14, 14])
    """
    return _run(BITWISE_OR, "biu", out, input, other)


def bitwise_xor(input: Any, other: Any, *, out: Any = None) -> Any:
    """The bits that one of the two has. Also `x ^ y`.

    >>> mt.bitwise_xor(mt.tensor([12, 10]), 6)
    tensor([10, 12])
    """
    return _run(BITWISE_XOR, "biu", out, input, other)


def bitwise_not(input: Any, *, out: Any = None) -> Any:
    """Every bit turned, which makes -1 - x of a signed x; of bools, "not". Also `~x`.

    >>> mt.bitwise_not(mt.tensor([0, 5]))
    tensor([-1, -6])
    """
    return _run(BITWISE_NOT, "biu", out, input)


# --- shifts: by less than nothing, or by the width or more, no bit of x is left ---------------------------------------


BITWISE_LEFT_SHIFT = _row("bitwise_left_shift", np.left_shift)
BITWISE_RIGHT_SHIFT = _row("bitwise_right_shift", np.right_shift)


def bitwise_left_shift(input: Any, other: Any, *, out: Any = None) -> Any:
    """x 2^y, without the bits that leave the dtype; 0 for a y below 0 or from the width on. Also `x << y`.

    >>> mt.bitwise_left_shift(mt.tensor([1, -3]), mt.tensor([4, 1]))
    tensor([16, -6])
    """
    return _run(BITWISE_LEFT_SHIFT, "iu", out, input, other)


def bitwise_right_shift(input: Any, other: Any, *, out: Any = None) -> Any:
    """x / 2^y rounded down; for a y below 0 or from the width on, -1 where x < 0, else 0. Also `x >> y`.

    >>> mt.bitwise_right_shift(mt.tensor([16, -3]), mt.tensor([4, 1]))
    tensor([ 1, -2])
    """
    return _run(BITWISE_RIGHT_SHIFT, "iu", out, input, other)


# --- divisors ---------------------------------------------------------------------------------------------------------

GCD = _row("gcd", np.gcd)
LCM = _row("lcm", np.lcm)


def gcd(input: Any, other: Any, *, out: Any = None) -> Any:
    """The greatest common divisor, never negative; gcd(0, 0) = 0.

    Shapes broadcast; a dtype is promoted. Raises DtypeError for floats and bools.

    >>> mt.gcd(mt.tensor([12, -8]), 18)
    tensor([6, 2])
    """
    return _run(GCD, "iu", out, input, other)


def lcm(input: Any, other: Any, *, out: Any = None) -> Any:
    """The least common multiple, never negative; lcm(0, y) = 0.

    >>> mt.lcm(mt.tensor([4, -6]), 10)
    tensor([20, 30])
    """
    return _run(LCM, "iu", out, input, other)
