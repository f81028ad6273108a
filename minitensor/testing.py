"""Comparing what was computed with what was expected, as PyTorch's `torch.testing` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import dtypes
from .creation import from_numpy
from .graph.tensors import wrap
from .tensor import Tensor

__all__ = ["assert_allclose", "assert_close"]

# (relative, absolute); of two dtypes the wider one counts
_TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}
_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    r"""Raises AssertionError unless |actual - expected| <= atol + rtol |expected| in every element.

    Tensors, arrays, numbers, and lists and dicts of them. Shapes must be equal, and dtypes unless `check_dtype` is
    False. Both tolerances are given or neither; then floats have those of their dtype (float32: 1.3e-6 and 1e-5),
    integers are equal. The message says how many elements differ, and where they do most; `msg` replaces it, or is
    called with it. Raises TypeError for what cannot be compared, ValueError for one tolerance alone.

    >>> mt.testing.assert_close(mt.tensor([1.0, 2.0]), mt.tensor([1.0, 2.0 + 1e-6]))
    >>> mt.testing.assert_close([1, 2.0], [1, 2.0])
    """
    if (rtol is None) != (atol is None):
        raise ValueError("assert_close: rtol and atol must be given both or neither")

    def check(a: Any, b: Any, place: str) -> None:
        found = _difference(a, b, (rtol, atol), equal_nan, check_dtype, check_stride)
        if found is not None:
            found += f"\n\nThe failure occurred for item {place}" if place else ""
            raise AssertionError(found if msg is None else msg(found) if callable(msg) else msg)

    _walk(actual, expected, "", check)


def assert_allclose(actual: Any, expected: Any, rtol: Any = None, atol: Any = None, equal_nan: Any = True) -> None:
    """`assert_close` of an older time: numbers and arrays become tensors, dtypes may differ, NaN equals NaN."""
    a, b = (x if isinstance(x, Tensor) else from_numpy(np.asarray(x)) for x in (actual, expected))
    assert_close(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False)


def _walk(a: Any, b: Any, place: str, check: Callable[[Any, Any, str], None]) -> None:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            raise AssertionError(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(b.keys() - a.keys())}\n"
                f"Additional keys in the actual mapping: {sorted(a.keys() - b.keys())}"
            )
        for key in b:
            _walk(a[key], b[key], f"{place}[{key!r}]", check)
    elif _is_sequence(a) and _is_sequence(b):
        if len(a) != len(b):
            raise AssertionError(f"The length of the sequences mismatch: {len(a)} != {len(b)}")
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            _walk(x, y, f"{place}[{i}]", check)
    else:
        check(a, b, place)


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _difference(
    a: Any, b: Any, tolerances: tuple[float | None, float | None], nan: bool, dtype: bool, stride: bool
) -> str | None:
    """What is not as it should be, if anything is."""
    numbers = isinstance(a, _NUMBERS) and isinstance(b, _NUMBERS)
    if a is None and b is None:
        return None
    if not numbers:
        kinds = [type(x) for x in (a, b)]
        a, b = (from_numpy(x) if isinstance(x, np.ndarray) else x for x in (a, b))
        if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
            raise TypeError(f"No comparison pair was able to handle inputs of type {kinds[0]} and {kinds[1]}.")
        for name, counts in {"shape": True, "dtype": dtype}.items():
            mine, theirs = getattr(a, name), getattr(b, name)
            if counts and mine != theirs:
                return f"The values for attribute {name!r} do not match: {mine} != {theirs}."
        if stride and a.stride() != b.stride():
            return f"The values for attribute 'stride()' do not match: {a.stride()} != {b.stride()}."
    x, y = (np.asarray(v.array if isinstance(v, Tensor) else v) for v in (a, b))
    pairs = [_TOLERANCES.get(v.dtype.name, (0.0, 0.0)) for v in (x, y)]
    defaults = max(p[0] for p in pairs), max(p[1] for p in pairs)
    rtol, atol = (d if t is None else t for t, d in zip(tolerances, defaults, strict=True))
    return _report(x, y, rtol, atol, nan, numbers)


def _report(x: Any, y: Any, rtol: float, atol: float, nan: bool, numbers: bool) -> str | None:
    wide = np.float64 if "f" in (x.dtype.kind, y.dtype.kind) else np.int64
    p, q = x.astype(wide), y.astype(wide)
    off = ~np.isclose(p, q, rtol, atol, equal_nan=nan)
    if not off.any():
        return None
    exact = rtol == 0 and atol == 0
    what = f"{'Scalars' if numbers else 'Tensor-likes'} are not {'equal' if exact else 'close'}!\n\n"
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs(p - q)
        ratio = gap / np.abs(q)
    limits = ["" if exact else f" (up to {limit} allowed)" for limit in (atol, rtol)]
    if x.ndim == 0:
        lines = [f"Expected {y[()]} but got {x[()]}."]
        lines += [f"Absolute difference: {gap[()]}{limits[0]}", f"Relative difference: {ratio[()]}{limits[1]}"]
        return what + "\n".join(lines)
    lines = [f"Mismatched elements: {int(off.sum())} / {off.size} ({off.sum() / off.size:.1%})"]
    for name, each, limit in (("absolute", gap, limits[0]), ("relative", ratio, limits[1])):
        worst = np.where(off, each, -1)
        at = np.unravel_index(int(worst.argmax()), worst.shape)
        shown = wrap(np.asarray(each[at], dtypes.float32.numpy if x.dtype == np.float32 else each.dtype)).item()
        lines.append(f"Greatest {name} difference: {shown} at index {tuple(int(i) for i in at)}{limit}")
    return what + "\n".join(lines)
