"""The named tuples that functions of several results return; PyTorch: `torch.return_types`."""

from __future__ import annotations

from typing import Any, NamedTuple


class max(NamedTuple):
    values: Any
    indices: Any


class min(NamedTuple):
    values: Any
    indices: Any


class aminmax(NamedTuple):
    min: Any
    max: Any


class median(NamedTuple):
    values: Any
    indices: Any


class nanmedian(NamedTuple):
    values: Any
    indices: Any


class mode(NamedTuple):
    values: Any
    indices: Any


class kthvalue(NamedTuple):
    values: Any
    indices: Any


class topk(NamedTuple):
    values: Any
    indices: Any


class sort(NamedTuple):
    values: Any
    indices: Any


class cummax(NamedTuple):
    values: Any
    indices: Any


class cummin(NamedTuple):
    values: Any
    indices: Any


class histogram(NamedTuple):
    hist: Any
    bin_edges: Any


class frexp(NamedTuple):
    mantissa: Any
    exponent: Any
