"""Writing through a view: what becomes of its base.

forward    out = base;  out[view] = value
backward   dbase = g with zeros in the view's place,  dvalue = g[view]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import ShapeError
from ..graph.record import apply, replay
from ..op import Op, Result, Sample
from .common import Array, array_of, raw, shape_of, to_dtype
from .join import UNBIND
from .shape import PERMUTE, RESHAPE, Shape


def _view_write_reference(base: Array, value: Array, *, chain: Any, shape: Shape) -> Result:
    out = base.copy()
    part = replay(chain, out)
    if np.may_share_memory(part, out):
        part[...] = value
    else:  # the view was one by strides that `out` does not have
        places = replay(chain, np.arange(1, out.size + 1).reshape(shape))
        out.reshape(-1)[places[places > 0] - 1] = value[places > 0]
    return out, ()


def _view_write_dbase(g: Any, *, chain: Any, shape: Shape) -> Any:
    part = replay(chain, g)
    return apply(VIEW_WRITE, g, np.zeros(shape_of(part), array_of(part).dtype), chain=chain, shape=shape)


def _view_write_dvalue(g: Any, *, chain: Any, shape: Shape) -> Any:
    return replay(chain, g)


def _view_write_samples(rng: np.random.Generator) -> Iterator[Sample]:
    chain = ((None, PERMUTE, {"dims": (1, 0)}, 0), UNBIND, {"dim": 0}, 1)
    yield Sample((rng.standard_normal((2, 3)), rng.standard_normal(2)), {"chain": chain, "shape": (2, 3)})
    flat = ((None, PERMUTE, {"dims": (1, 0)}, 0), RESHAPE, {"shape": (6,)}, 0)  # a view of columns, a copy of rows
    yield Sample((rng.standard_normal((2, 3)), rng.standard_normal(6)), {"chain": flat, "shape": (2, 3)})


VIEW_WRITE: Op = Op(
    "view_write",
    _view_write_reference,
    None,
    (_view_write_dbase, _view_write_dvalue),
    "linear",
    _view_write_samples,
    exact=True,
)


def scatter_view(name: str, input: Any, src: Any, op: Op, **params: Any) -> Any:
    """`input` with `src` in the place of its view op(input): what the functions `..._scatter` do."""
    before, chain = shape_of(input), (None, op, params, 0)
    want = shape_of(replay(chain, raw(input)))
    if shape_of(src) != want:
        raise ShapeError(f"{name}: the part to be replaced has shape {want}, the source {shape_of(src)}")
    value = to_dtype(src, dtypes.of(array_of(input).dtype))
    return apply(VIEW_WRITE, input, value, chain=chain, shape=before)
