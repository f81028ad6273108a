r"""The steps of recurrent layers: what is done element by element once the products with the weights are there.

    lstm_cell      forward    c' = s(f) c + s(i) tanh(g),   h = s(o) tanh(c')         x = (i, f, g, o), s = sigmoid
                   backward   e  = dc' + dh s(o) (1 - tanh(c')^2)                     all that reaches c'
                              dx = (e tanh(g) s'(i),  e c s'(f),  e s(i) (1 - tanh(g)^2),  dh tanh(c') s'(o))
                              dc = e s(f)
    gru_cell       forward    h' = n + s(z) (h - n),   n = tanh(xn + s(r) yn)         x + y = (r, z, .)
                   backward   e  = dh' (1 - s(z)) (1 - n^2)
                              dx = (e yn s'(r),  dh' (h - n) s'(z),  e),   dy the same with e s(r) at its end
                              dh = dh' s(z)

x and y are the products (N, 4 H) or (N, 3 H) of the step's input and of the state before; h, c are (N, H). In the
backwards, which are operators too, c' counts as a variable: it is one, in x and c.

Kernels: csrc/kernels/rnn.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core
from ..errors import DtypeError, ShapeError
from ..graph.record import apply
from ..op import Op, Result, Sample
from .arithmetic import add, mul, sub, zero
from .common import Array, array_of, shape_of
from .functions import relu, sigmoid, tanh
from .join import cat, split
from .matmul import linear
from .shape import reshape

SHAPES = ((2, 3), (1, 1), (0, 2), (3, 16), (2, 17), (2, 35))


def _draw(rng: np.random.Generator, *widths: int) -> Iterator[Sample]:
    """Samples with arrays of these widths, in units of the state's."""
    for rows, n in SHAPES:
        yield Sample(tuple([rng.standard_normal((rows, w * n)) for w in widths]))
    yield Sample(tuple([rng.standard_normal((300, w * 130)) for w in widths]), large=True)


def _sigmoid(x: Array) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _parts(x: Any, count: int) -> Any:
    return split(x, shape_of(x)[-1] // count, -1) if shape_of(x)[-1] else (x,) * count


def _slope(y: Any) -> Any:
    """The slope of the sigmoid, from its value."""
    return mul(y, sub(1, y))


def _hill(y: Any) -> Any:
    """The slope of tanh, from its value."""
    return sub(1, mul(y, y))


def _product(*factors: Any) -> Any:
    out = factors[0]
    for factor in factors[1:]:
        out = mul(out, factor)
    return out


# --- LSTM -------------------------------------------------------------------------------------------------------------


def _lstm_reference(x: Array, c: Array) -> Result:
    i, f, g, o = np.split(x, 4, -1)
    new = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return (_sigmoid(o) * np.tanh(new), new), (x, c, new)


def _lstm_forward(x: Array, c: Array) -> Result:
    h, new = _core.lstm_cell(x, c)
    return (h, new), (x, c, new)


def _lstm_dx(g: Any, x: Any, c: Any, new: Any) -> Any:
    return apply(LSTM_CELL_DX, g[0], g[1], x, c, new)


def _lstm_dc(g: Any, x: Any, _c: Any, new: Any) -> Any:
    return apply(LSTM_CELL_DC, g[0], g[1], x, new)


LSTM_CELL = Op(
    "lstm_cell",
    _lstm_reference,
    _lstm_forward,
    (_lstm_dx, _lstm_dc),
    None,
    lambda rng: _draw(rng, 4, 1),
)


def _lstm_dx_reference(dh: Array, dc: Array, x: Array, c: Array, new: Array) -> Result:
    i, f, g, o = np.split(x, 4, -1)
    i, f, g, o, t = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o), np.tanh(new)
    e = dc + dh * o * (1 - t * t)
    dx = np.concatenate([e * g * i * (1 - i), e * c * f * (1 - f), e * i * (1 - g * g), dh * t * o * (1 - o)], -1)
    return dx, (dh, dc, x, c, new)


def _lstm_dx_forward(dh: Array, dc: Array, x: Array, c: Array, new: Array) -> Result:
    return _core.lstm_cell_dx(dh, dc, x, c, new), (dh, dc, x, c, new)


class _Lstm:
    """The gates of one step, their slopes, and what reaches c'."""

    def __init__(self, dh: Any, dc: Any, x: Any, new: Any) -> None:
        i, f, g, o = _parts(x, 4)
        self.i, self.f, self.g, self.o, self.t = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o), tanh(new)
        self.di, self.df, self.do = _slope(self.i), _slope(self.f), _slope(self.o)
        self.dg, self.dt = _hill(self.g), _hill(self.t)
        self.e = add(dc, _product(dh, self.o, self.dt))


# With u = (ui, uf, ug, uo) the gradient of dx:  <u, dx> = e A + dh uo tanh(c') s'(o),
#     A = ui tanh(g) s'(i) + uf c s'(f) + ug s(i) (1 - tanh(g)^2)
def _lstm_weighted(u: Any, k: _Lstm, c: Any) -> Any:
    ui, uf, ug, _ = _parts(u, 4)
    return add(add(_product(ui, k.g, k.di), _product(uf, c, k.df)), _product(ug, k.i, k.dg))


def _lstm_dx_dh(u: Any, dh: Any, dc: Any, x: Any, c: Any, new: Any) -> Any:
    k = _Lstm(dh, dc, x, new)
    return add(_product(_lstm_weighted(u, k, c), k.o, k.dt), _product(_parts(u, 4)[3], k.t, k.do))


def _lstm_dx_dc(u: Any, dh: Any, dc: Any, x: Any, c: Any, new: Any) -> Any:
    return _lstm_weighted(u, _Lstm(dh, dc, x, new), c)


def _lstm_dx_dx(u: Any, dh: Any, dc: Any, x: Any, c: Any, new: Any) -> Any:
    k = _Lstm(dh, dc, x, new)
    ui, uf, ug, uo = _parts(u, 4)
    i = _product(k.e, k.di, add(mul(ug, k.dg), _product(ui, k.g, sub(1, mul(2, k.i)))))
    f = _product(k.e, uf, c, k.df, sub(1, mul(2, k.f)))
    g = _product(k.e, k.dg, sub(mul(ui, k.di), _product(mul(2, ug), k.g, k.i)))
    inner = add(mul(_lstm_weighted(u, k, c), k.dt), _product(uo, k.t, sub(1, mul(2, k.o))))
    return cat([i, f, g, _product(dh, k.do, inner)], -1)


def _lstm_dx_dold(u: Any, dh: Any, dc: Any, x: Any, _c: Any, new: Any) -> Any:
    k = _Lstm(dh, dc, x, new)
    return _product(k.e, _parts(u, 4)[1], k.df)


def _lstm_dx_dnew(u: Any, dh: Any, dc: Any, x: Any, c: Any, new: Any) -> Any:
    k = _Lstm(dh, dc, x, new)
    curve = _product(mul(-2, k.t), k.o, _lstm_weighted(u, k, c))
    return _product(dh, k.dt, add(curve, mul(_parts(u, 4)[3], k.do)))


LSTM_CELL_DX = Op(
    "lstm_cell_dx",
    _lstm_dx_reference,
    _lstm_dx_forward,
    (_lstm_dx_dh, _lstm_dx_dc, _lstm_dx_dx, _lstm_dx_dold, _lstm_dx_dnew),
    None,
    lambda rng: _draw(rng, 1, 1, 4, 1, 1),
)


def _lstm_dc_reference(dh: Array, dc: Array, x: Array, new: Array) -> Result:
    _, f, _, o = np.split(x, 4, -1)
    return (dc + dh * _sigmoid(o) * (1 - np.tanh(new) ** 2)) * _sigmoid(f), (dh, dc, x, new)


def _lstm_dc_forward(dh: Array, dc: Array, x: Array, new: Array) -> Result:
    return _core.lstm_cell_dc(dh, dc, x, new), (dh, dc, x, new)


def _lstm_dc_dh(u: Any, dh: Any, dc: Any, x: Any, new: Any) -> Any:
    k = _Lstm(dh, dc, x, new)
    return _product(u, k.f, k.o, k.dt)


def _lstm_dc_dc(u: Any, _dh: Any, _dc: Any, x: Any, _new: Any) -> Any:
    return mul(u, sigmoid(_parts(x, 4)[1]))


def _lstm_dc_dx(u: Any, dh: Any, dc: Any, x: Any, new: Any) -> Any:
    k = _Lstm(dh, dc, x, new)
    return cat([zero(u), _product(u, k.e, k.df), zero(u), _product(u, k.f, dh, k.dt, k.do)], -1)


def _lstm_dc_dnew(u: Any, dh: Any, dc: Any, x: Any, new: Any) -> Any:
    k = _Lstm(dh, dc, x, new)
    return _product(u, k.f, dh, k.o, mul(-2, k.t), k.dt)


LSTM_CELL_DC = Op(
    "lstm_cell_dc",
    _lstm_dc_reference,
    _lstm_dc_forward,
    (_lstm_dc_dh, _lstm_dc_dc, _lstm_dc_dx, _lstm_dc_dnew),
    None,
    lambda rng: _draw(rng, 1, 1, 4, 1),
)


# --- GRU --------------------------------------------------------------------------------------------------------------


def _gru_reference(x: Array, y: Array, h: Array) -> Result:
    (xr, xz, xn), (yr, yz, yn) = np.split(x, 3, -1), np.split(y, 3, -1)
    n = np.tanh(xn + _sigmoid(xr + yr) * yn)
    return n + _sigmoid(xz + yz) * (h - n), (x, y, h)


def _gru_forward(x: Array, y: Array, h: Array) -> Result:
    return _core.gru_cell(x, y, h), (x, y, h)


def _gru_dx(g: Any, x: Any, y: Any, h: Any) -> Any:
    return apply(GRU_CELL_DX, g, x, y, h, hidden=False)


def _gru_dy(g: Any, x: Any, y: Any, h: Any) -> Any:
    return apply(GRU_CELL_DX, g, x, y, h, hidden=True)


def _gru_dh(g: Any, x: Any, y: Any, _h: Any) -> Any:
    return mul(g, sigmoid(add(_parts(x, 3)[1], _parts(y, 3)[1])))


GRU_CELL = Op(
    "gru_cell",
    _gru_reference,
    _gru_forward,
    (_gru_dx, _gru_dy, _gru_dh),
    None,
    lambda rng: _draw(rng, 3, 3, 1),
)


def _gru_dx_reference(g: Array, x: Array, y: Array, h: Array, *, hidden: bool) -> Result:
    (xr, xz, xn), (yr, yz, yn) = np.split(x, 3, -1), np.split(y, 3, -1)
    r, z = _sigmoid(xr + yr), _sigmoid(xz + yz)
    n = np.tanh(xn + r * yn)
    e = g * (1 - z) * (1 - n * n)
    return np.concatenate([e * yn * r * (1 - r), g * (h - n) * z * (1 - z), e * r if hidden else e], -1), (g, x, y, h)


def _gru_dx_forward(g: Array, x: Array, y: Array, h: Array, *, hidden: bool) -> Result:
    return _core.gru_cell_dx(g, x, y, h, hidden), (g, x, y, h)


class _Gru:
    """The gates of one step and their slopes; Q and uz of the comment below."""

    def __init__(self, u: Any, x: Any, y: Any, hidden: bool) -> None:
        (xr, xz, xn), (yr, yz, self.yn) = _parts(x, 3), _parts(y, 3)
        self.ur, self.uz, self.un = _parts(u, 3)
        self.r, self.z = sigmoid(add(xr, yr)), sigmoid(add(xz, yz))
        self.n = tanh(add(xn, mul(self.r, self.yn)))
        self.dr, self.dz, self.dn = _slope(self.r), _slope(self.z), _hill(self.n)
        self.q = add(_product(self.ur, self.yn, self.dr), mul(self.un, self.r) if hidden else self.un)

    def by_n(self, g: Any) -> Any:
        """The derivative of <u, dx> by what tanh gives n of."""
        curve = add(_product(mul(2, self.n), sub(1, self.z), self.q), mul(self.uz, self.dz))
        return mul(mul(-1, g), mul(curve, self.dn))


# With u = (ur, uz, un) the gradient of dx:  <u, dx> = g ((1 - s(z)) (1 - n^2) Q + uz (h - n) s'(z)),
#     Q = ur yn s'(r) + un, or of dy  ur yn s'(r) + un s(r)
def _gru_dx_dg(u: Any, _g: Any, x: Any, y: Any, h: Any, *, hidden: bool) -> Any:
    k = _Gru(u, x, y, hidden)
    return add(_product(sub(1, k.z), k.dn, k.q), _product(k.uz, sub(h, k.n), k.dz))


def _gru_dx_gates(k: _Gru, g: Any, h: Any, hidden: bool) -> tuple[Any, Any]:
    """The derivatives by r and z, which are the same for x and y."""
    e = _product(g, sub(1, k.z), k.dn)
    bend = _product(k.ur, k.yn, sub(1, mul(2, k.r)))
    r = mul(k.dr, add(mul(e, add(bend, k.un) if hidden else bend), mul(k.by_n(g), k.yn)))
    flat = sub(_product(k.uz, sub(h, k.n), sub(1, mul(2, k.z))), mul(k.dn, k.q))
    return r, _product(g, k.dz, flat)


def _gru_dx_dx(u: Any, g: Any, x: Any, y: Any, h: Any, *, hidden: bool) -> Any:
    k = _Gru(u, x, y, hidden)
    return cat([*_gru_dx_gates(k, g, h, hidden), k.by_n(g)], -1)


def _gru_dx_dy(u: Any, g: Any, x: Any, y: Any, h: Any, *, hidden: bool) -> Any:
    k = _Gru(u, x, y, hidden)
    direct = _product(g, sub(1, k.z), k.dn, k.ur, k.dr)
    return cat([*_gru_dx_gates(k, g, h, hidden), add(mul(k.by_n(g), k.r), direct)], -1)


def _gru_dx_dh(u: Any, g: Any, x: Any, y: Any, _h: Any, *, hidden: bool) -> Any:
    k = _Gru(u, x, y, hidden)
    return _product(g, k.uz, k.dz)


def _gru_dx_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, sample in enumerate(_draw(rng, 1, 3, 3, 1)):
        yield Sample(sample.args, {"hidden": i % 2 == 1}, large=sample.large)


GRU_CELL_DX = Op(
    "gru_cell_dx",
    _gru_dx_reference,
    _gru_dx_forward,
    (_gru_dx_dg, _gru_dx_dx, _gru_dx_dy, _gru_dx_dh),
    None,
    _gru_dx_samples,
)


# --- the cells, with their products -----------------------------------------------------------------------------------


def _step(name: str, gates: int, input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Any, Any]:
    """The products of the input and of the state, checked."""
    x, h = shape_of(input), shape_of(hx)
    n = shape_of(w_hh)[-1]
    if len(x) not in (1, 2) or len(h) != len(x) or h[-1] != n or h[:-1] != x[:-1]:
        raise ShapeError(f"{name}: input {x} and state {h}: expected (N, in) and (N, {n}), or (in) and ({n})")
    if x[-1] != shape_of(w_ih)[-1] or shape_of(w_ih)[0] != gates * n:
        raise ShapeError(f"{name}: input {x} and weight {shape_of(w_ih)}: expected a weight ({gates * n}, {x[-1]})")
    if array_of(input).dtype != array_of(hx).dtype:
        raise DtypeError(
            f"{name}: the dtypes {array_of(input).dtype} of the input and {array_of(hx).dtype} of the state differ"
        )
    return linear(input, w_ih, b_ih), linear(hx, w_hh, b_hh)


def rnn_tanh_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    r"""One step of the simplest recurrent network: tanh(x w_ih^T + b_ih + h w_hh^T + b_hh).

    Shapes: input (N, in), hx (N, H), or both without N; w_ih (H, in), w_hh (H, H).

    >>> mt.rnn_tanh_cell(mt.zeros(1, 2), mt.ones(1, 1), mt.zeros(1, 2), mt.ones(1, 1))
    tensor([[0.7616]])
    """
    return tanh(add(*_step("rnn_tanh_cell", 1, input, hx, w_ih, w_hh, b_ih, b_hh)))


def rnn_relu_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    r"""As `rnn_tanh_cell`, with relu.

    >>> mt.rnn_relu_cell(mt.zeros(1, 2), mt.ones(1, 1), mt.zeros(1, 2), mt.ones(1, 1))
    tensor([[1.]])
    """
    return relu(add(*_step("rnn_relu_cell", 1, input, hx, w_ih, w_hh, b_ih, b_hh)))


def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    r"""One step of a gated recurrent unit.

        x = input w_ih^T + b_ih = (xr, xz, xn),   y = hx w_hh^T + b_hh = (yr, yz, yn)
        forward    r = sigmoid(xr + yr),  z = sigmoid(xz + yz),  n = tanh(xn + r yn),  h' = (1 - z) n + z h
        backward   see `minitensor/ops/rnn.py`

    Shapes: input (N, in), hx (N, H), or both without N; w_ih (3 H, in), w_hh (3 H, H). Raises ShapeError, DtypeError.
    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014).

    >>> mt.gru_cell(mt.zeros(1, 2), mt.ones(1, 1), mt.zeros(3, 2), mt.zeros(3, 1))
    tensor([[0.5000]])
    """
    x, y = _step("gru_cell", 3, input, hx, w_ih, w_hh, b_ih, b_hh)
    if len(shape_of(x)) == 2:
        return apply(GRU_CELL, x, y, hx)
    out = apply(GRU_CELL, *[reshape(v, (1, -1)) for v in (x, y, hx)])
    return reshape(out, (-1,))


def lstm_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> tuple[Any, Any]:
    r"""One step of a long short-term memory: from (h, c) to the next (h, c).

        (i, f, g, o) = input w_ih^T + b_ih + h w_hh^T + b_hh
        forward    c' = sigmoid(f) c + sigmoid(i) tanh(g),   h' = sigmoid(o) tanh(c')
        backward   see `minitensor/ops/rnn.py`

    Shapes: input (N, in), h and c (N, H), or all without N; w_ih (4 H, in), w_hh (4 H, H). Raises ShapeError,
    DtypeError. Source: S. Hochreiter, J. Schmidhuber, "Long short-term memory" (1997).

    >>> h, c = mt.lstm_cell(mt.zeros(1, 2), (mt.ones(1, 1), mt.ones(1, 1)), mt.zeros(4, 2), mt.zeros(4, 1))
    >>> c
    tensor([[0.5000]])
    """
    h, c = hx
    if shape_of(c) != shape_of(h):
        raise ShapeError(f"lstm_cell: h {shape_of(h)} and c {shape_of(c)} differ in shape")
    x = add(*_step("lstm_cell", 4, input, h, w_ih, w_hh, b_ih, b_hh))
    if len(shape_of(x)) == 2:
        both: tuple[Any, Any] = apply(LSTM_CELL, x, c)
        return both
    h, c = apply(LSTM_CELL, reshape(x, (1, -1)), reshape(c, (1, -1)))
    return reshape(h, (-1,)), reshape(c, (-1,))
