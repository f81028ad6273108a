"""Tensors as text, in PyTorch's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes
from .device import is_meta
from .errors import ShapeError

_options: dict[str, Any] = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors print: digits, from how many elements on they are abridged, how many stay, the width of a line."""
    profiles = {"default": (4, 1000, 3), "short": (2, 1000, 2), "full": (4, float("inf"), 3)}
    if profile is not None:
        if profile not in profiles:
            raise ShapeError(f"set_printoptions: profile {profile!r} is not one of {', '.join(profiles)}")
        _options["precision"], _options["threshold"], _options["edgeitems"] = profiles[profile]
        _options["linewidth"] = 80
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update({k: v for k, v in given.items() if v is not None})
    _options["sci_mode"] = sci_mode


def _shown(a: Any) -> Any:
    """The elements that are printed: all, or the edges of every axis."""
    e = _options["edgeitems"]
    for d in range(a.ndim):
        if a.shape[d] > 2 * e:
            a = np.concatenate([a.take(range(e), d), a.take(range(-e, 0), d)], d)
    return a


def _formatter(a: Any) -> tuple[Callable[[Any], str], int]:
    """How each element is written, and the width that they are brought to; a nan, an inf or -0 may be wider."""
    digits = _options["precision"]
    if a.dtype.kind == "c":
        (real, wide), (imag, more) = _formatter(a.real), _formatter(a.imag)

        def both(v: Any) -> str:
            part = imag(v.imag).lstrip()
            return f"{real(v.real)}{'' if part[0] in '+-' else '+'}{part}j"

        return both, wide + more + 1
    if a.dtype.kind == "b":
        words = [str(bool(v)) for v in a.flat]
        width = max(map(len, words), default=0)
        return lambda v: f"{bool(v)!s:>{width}}", width
    if a.dtype.kind != "f":
        width = max((len(str(int(v))) for v in a.flat), default=0)
        return lambda v: f"{int(v):>{width}}", width
    values = a.astype(np.float64)
    counted = values[np.isfinite(values) & (values != 0)]  # these decide on the form and the width
    finite = np.abs(counted)
    sci = _options["sci_mode"]
    if finite.size == 0:
        form = ".0f"
        dotted = True
    else:
        high, low = finite.max(), finite.min()
        whole = bool(np.all(finite == np.ceil(finite)))
        if sci is None:
            sci = high / low > 1000.0 or high > 1e8 or (not whole and low < 1e-4)
        form = f".{digits}e" if sci else (".0f" if whole else f".{digits}f")
        dotted = whole and not sci

    def word(v: float) -> str:
        text = f"{float(v):{form}}"
        return text + "." if dotted and np.isfinite(v) else text

    width = max((len(word(v)) for v in counted), default=1)
    return lambda v: f"{word(v):>{width}}", width


def _rows(a: Any, word: Callable[[Any], str], width: int, indent: int, abridged: bool) -> str:
    e = _options["edgeitems"]
    if a.ndim == 0:
        return word(a[()])
    n = a.shape[0]
    cut = abridged and n > 2 * e
    places = [*range(e), None, *range(n - e, n)] if cut else list(range(n))
    if a.ndim == 1:
        words = [" ..." if i is None else word(a[i]) for i in places]
        per_line = max(1, (_options["linewidth"] - indent) // (width + 2))
        lines = [", ".join(words[k : k + per_line]) for k in range(0, len(words), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = ["..." if i is None else _rows(a[i], word, width, indent + 1, abridged) for i in places]
    breaks: int = a.ndim - 1
    return "[" + ("," + "\n" * breaks + " " * (indent + 1)).join(parts) + "]"


def _body(a: Any, indent: int) -> str:
    """The elements, in lines that begin at a column."""
    abridged = a.size > _options["threshold"]
    return "[]" if a.size == 0 else _rows(a, *_formatter(_shown(a) if abridged else a), indent, abridged)


def tensor_str(x: Any) -> str:
    """`tensor([...], dtype=..., requires_grad=...)`."""
    a = x.array
    if is_meta(a):
        notes = ["device='meta'", f"size={tuple(a.shape)}"]
        notes += [f"dtype={x.dtype}"] * (x.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_))
        return _noted("tensor(...", [*notes, *_graph_notes(x)], len("tensor("))
    prefix = "tensor("
    body = _body(a, len(prefix))
    notes = []
    if a.size == 0 and a.shape != (0,):
        notes.append(f"size={tuple(a.shape)}")
    d = dtypes.of(a.dtype)
    default = dtypes.get_default_dtype()
    usual = (default, dtypes.int64, dtypes.bool_, dtypes.complex128 if default is dtypes.float64 else dtypes.complex64)
    if d not in usual or (a.size == 0 and not d.is_floating_point):
        notes.append(f"dtype={d}")
    return _noted(prefix + body, [*notes, *_graph_notes(x)], len(prefix))


def _graph_notes(x: Any) -> list[str]:
    if x.grad_fn is not None:
        return [f"grad_fn=<{x.grad_fn.name().rpartition(':')[2]}>"]
    return ["requires_grad=True"] if x.requires_grad else []


def _noted(text: str, notes: list[str], indent: int, first_on_new_line: bool = False) -> str:
    """The text with its notes after it, in lines that begin at a column."""
    column = len(text) - text.rfind("\n") + 1  # as PyTorch counts, one more than there are
    for i, note in enumerate(notes):
        fits = column + len(note) + 2 <= _options["linewidth"] and not (first_on_new_line and i == 0)
        text += (", " if fits else ",\n" + " " * indent) + note
        column = column + len(note) + 2 if fits else indent + len(note)
    return text + ")"


def sparse_str(x: Any, parts: Any = None) -> str:
    """`tensor(indices=tensor(...), values=tensor(...), size=..., nnz=..., layout=...)`, or with other named parts."""
    prefix, lines = "tensor(", []
    for what, part in parts or (("indices", x._indices()), ("values", x._values().detach())):
        a = part.array
        size = f", size={tuple(a.shape)}" if a.size == 0 else ""
        lines.append(f"{what}=tensor({_body(a, len(prefix) + len(what) + len('=tensor('))}{size})")
    notes = [f"size={tuple(x.shape)}", f"nnz={x._nnz()}"]
    if x.dtype not in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_):
        notes.append(f"dtype={x.dtype}")
    notes += [f"layout={x.layout!r}", *_graph_notes(x)]
    return _noted(prefix + (",\n" + " " * len(prefix)).join(lines), notes, len(prefix), parts is None)
