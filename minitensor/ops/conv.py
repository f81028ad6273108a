r"""Convolution (as everyone calls it: the kernel is not turned round), its transpose, unfolding.

    y[n, o, i, j] = bias[o] + sum_cab x[n, c, i s - p + a d, j s - p + b d] w[o, c, a, b]

with stride s, padding p and dilation d, each one number or one per axis, and zeros where x is read
outside. With groups, the channels and the outputs are cut into that many parts that do not see each
other. Per axis there are

    out = floor((size + 2 p - d (kernel - 1) - 1) / s) + 1

positions. y is linear in x and in w, so the two gradients are the same sum read the other way:

    dx[n, c, i s - p + a d, ..] += g[n, o, i, j] w[o, c, a, b]        conv2d_input_vjp(g, w)
    dw[o, c, a, b] += g[n, o, i, j] x[n, c, i s - p + a d, ..]        conv2d_weight_vjp(g, x)

<g, conv2d(x, w)> = <conv2d_input_vjp(g, w), x> = <conv2d_weight_vjp(g, x), w>: the derivatives of
each of the three are the other two, to any order.

Kernels: csrc/kernels/conv.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .. import _core
from ..errors import DtypeError, ShapeError
from ..graph import apply
from ..op import Op, Result, Sample
from .arithmetic import add
from .common import Array, Pair, need_float, pair, raw, shape_of
from .reduce import sum
from .shape import cat, reshape

Shape = tuple[int, ...]

# --- windows in NumPy -----------------------------------------------------------------------------


def _windows(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """(n, c, h, w) -> (n, c, oh, ow, kh, kw): what lies under the kernel at each position."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    spans = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    return sliding_window_view(padded, spans, (2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]


def _add_windows(cols: Array, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """The transpose of `_windows`: each window's values added where they were read."""
    n, c, oh, ow, kh, kw = cols.shape
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    x = np.zeros((n, c, size[0] + 2 * ph, size[1] + 2 * pw), cols.dtype)
    for a in range(kh):
        for b in range(kw):
            rows = slice(a * dh, a * dh + sh * (oh - 1) + 1, sh)
            columns = slice(b * dw, b * dw + sw * (ow - 1) + 1, sw)
            x[:, :, rows, columns] += cols[..., a, b]
    return x[:, :, ph : ph + size[0], pw : pw + size[1]]


def _grouped(x: Array, axis: int, groups: int) -> Array:
    """That axis split into (groups, rest)."""
    return x.reshape(*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])


# --- conv2d and its two gradients -----------------------------------------------------------------


def _conv2d_reference(
    x: Array,
    w: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Result:
    windows = _grouped(_windows(x, w.shape[2:], stride, padding, dilation), 1, groups)
    y = np.einsum("ngchwab,gocab->ngohw", windows, _grouped(w, 0, groups))
    y = y.reshape(len(x), len(w), *y.shape[3:])
    return y if bias is None else y + bias[:, None, None], (x, w, x.shape, w.shape)


def _conv2d_forward(x: Array, w: Array, bias: Array | None, **params: Any) -> Result:
    return _core.conv2d(x, w, bias, **params), (x, w, x.shape, w.shape)


def _conv2d_dx(g: Any, _x: Any, w: Any, x_shape: Shape, _w_shape: Shape, **params: Any) -> Any:
    return apply(CONV2D_INPUT_VJP, g, w, size=x_shape[2:], **params)


def _conv2d_dw(g: Any, x: Any, _w: Any, _x_shape: Shape, w_shape: Shape, **params: Any) -> Any:
    return apply(CONV2D_WEIGHT_VJP, g, x, kernel=w_shape[2:], **params)


def _conv2d_dbias(g: Any, _x: Any, _w: Any, _x_shape: Shape, _w_shape: Shape, **_: Any) -> Any:
    return sum(g, (0, 2, 3))


def _conv2d_jvp(tangents: tuple[Any, ...], x: Any, w: Any, x_shape: Shape, w_shape: Shape, **params: Any) -> Any:
    dx, dw, dbias = tangents
    moved = None
    if dx is not None:
        moved = apply(CONV2D, dx, w, dbias, **params)
        dbias = None
    if dw is not None:
        term = apply(CONV2D, x, dw, dbias, **params)
        return term if moved is None else add(moved, term)
    if moved is None:  # the bias alone
        moved = apply(CONV2D, np.zeros(x_shape, raw(dbias).dtype), w, dbias, **params)
    return moved


def _conv_length(x: Array, w: Array, *_: Any, **params: Any) -> int:
    """How many terms the longest sum of a convolution and its gradients has."""
    return int(max(np.prod(w.shape[1:]), np.prod(x.shape[2:]) * len(x), np.prod(w.shape) // w.shape[1]))


# input (n, c, h, w), kernel (o, kh, kw), stride, padding, dilation, groups
_CASES: tuple[tuple[Shape, Shape, Pair, Pair, Pair, int], ...] = (
    ((2, 3, 5, 4), (4, 3, 2), (1, 1), (0, 0), (1, 1), 1),
    ((1, 1, 1, 1), (1, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((0, 2, 3, 3), (2, 2, 2), (1, 1), (1, 1), (1, 1), 1),
    ((1, 2, 6, 7), (3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 2, 6, 7), (3, 3, 2), (2, 3), (1, 0), (1, 1), 1),
    ((1, 2, 7, 8), (2, 2, 3), (1, 2), (0, 2), (3, 2), 1),
    ((1, 4, 5, 5), (6, 3, 3), (1, 1), (2, 1), (1, 1), 2),
    ((2, 4, 5, 5), (4, 3, 3), (2, 2), (1, 1), (1, 1), 4),
    ((2, 3, 4, 4), (17, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((1, 3, 5, 4), (2, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    ((1, 1, 3, 3), (1, 5, 5), (1, 1), (4, 4), (1, 1), 1),
    ((1, 1, 4, 19), (2, 2, 3), (3, 1), (3, 2), (2, 1), 1),
)
_LARGE: tuple[tuple[Shape, Shape, Pair, Pair, Pair, int], ...] = (
    ((8, 6, 14, 14), (16, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    ((2, 40, 17, 19), (70, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((9, 24, 13, 12), (24, 3, 3), (2, 2), (1, 1), (1, 1), 24),
    ((3, 130, 9, 9), (33, 1, 1), (1, 1), (0, 0), (1, 1), 1),
)


def _params(case: Any) -> dict[str, Any]:
    return dict(zip(("stride", "padding", "dilation", "groups"), case[2:], strict=True))


def _conv2d_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in _CASES + _LARGE:
        x, (o, kh, kw), groups = case[0], case[1], case[-1]
        args = (
            rng.standard_normal(x),
            rng.standard_normal((o, x[1] // groups, kh, kw)),
            rng.standard_normal(o),
        )
        yield Sample(args, _params(case), large=case in _LARGE)
    yield Sample(
        (rng.standard_normal((1, 2, 3, 3)), rng.standard_normal((1, 2, 2, 2)), None),
        _params(_CASES[0]),
    )


CONV2D = Op(
    "conv2d",
    _conv2d_reference,
    _conv2d_forward,
    (_conv2d_dx, _conv2d_dw, _conv2d_dbias),
    _conv2d_jvp,
    _conv2d_samples,
    exact=True,
    length=_conv_length,
)


def _out(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _outs(case: Any) -> Shape:
    """The shape of the convolution's output."""
    x, (o, *kernel), stride, padding, dilation, _ = case
    return (x[0], o, *map(_out, x[2:], kernel, stride, padding, dilation))


def _input_vjp_reference(
    g: Array, w: Array, *, size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Result:
    cols = np.einsum("ngohw,gocab->ngchwab", _grouped(g, 1, groups), _grouped(w, 0, groups))
    cols = cols.reshape(len(g), groups * w.shape[1], *cols.shape[3:])
    return _add_windows(cols, size, stride, padding, dilation), (g, w, w.shape)


def _input_vjp_forward(g: Array, w: Array, **params: Any) -> Result:
    return _core.conv2d_input_vjp(g, w, **params), (g, w, w.shape)


def _input_vjp_dg(h: Any, _g: Any, w: Any, _w_shape: Shape, *, size: Pair, **params: Any) -> Any:
    return apply(CONV2D, h, w, None, **params)


def _input_vjp_dw(h: Any, g: Any, _w: Any, w_shape: Shape, *, size: Pair, **params: Any) -> Any:
    return apply(CONV2D_WEIGHT_VJP, g, h, kernel=w_shape[2:], **params)


def _input_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in _CASES + _LARGE:
        x, (o, kh, kw), groups = case[0], case[1], case[-1]
        args = (rng.standard_normal(_outs(case)), rng.standard_normal((o, x[1] // groups, kh, kw)))
        yield Sample(args, {"size": x[2:], **_params(case)}, large=case in _LARGE)


CONV2D_INPUT_VJP = Op(
    "conv2d_input_vjp",
    _input_vjp_reference,
    _input_vjp_forward,
    (_input_vjp_dg, _input_vjp_dw),
    "multilinear",
    _input_vjp_samples,
    exact=True,
    length=_conv_length,
)


def _weight_vjp_reference(
    g: Array, x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Result:
    windows = _grouped(_windows(x, kernel, stride, padding, dilation), 1, groups)
    dw = np.einsum("ngohw,ngchwab->gocab", _grouped(g, 1, groups), windows)
    return dw.reshape(g.shape[1], *dw.shape[2:]), (g, x, x.shape)


def _weight_vjp_forward(g: Array, x: Array, **params: Any) -> Result:
    return _core.conv2d_weight_vjp(g, x, **params), (g, x, x.shape)


def _weight_vjp_dg(v: Any, _g: Any, x: Any, _x_shape: Shape, *, kernel: Pair, **params: Any) -> Any:
    return apply(CONV2D, x, v, None, **params)


def _weight_vjp_dx(v: Any, g: Any, _x: Any, x_shape: Shape, *, kernel: Pair, **params: Any) -> Any:
    return apply(CONV2D_INPUT_VJP, g, v, size=x_shape[2:], **params)


def _weight_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in _CASES + _LARGE:
        args = (rng.standard_normal(_outs(case)), rng.standard_normal(case[0]))
        yield Sample(args, {"kernel": case[1][1:], **_params(case)}, large=case in _LARGE)


CONV2D_WEIGHT_VJP = Op(
    "conv2d_weight_vjp",
    _weight_vjp_reference,
    _weight_vjp_forward,
    (_weight_vjp_dg, _weight_vjp_dx),
    "multilinear",
    _weight_vjp_samples,
    exact=True,
    length=lambda g, x, **_: int(np.prod(g.shape[2:])) * len(g) + 1,
)


# --- what a convolution is told -------------------------------------------------------------------


def _check(name: str, input: Any, weight: Any, bias: Any, outputs: int, groups: Any) -> None:
    """Raises unless the ranks, the dtypes and the bias fit, and no size but the batch is zero."""
    x, w = shape_of(input), shape_of(weight)
    need_float(name, input, weight, bias)
    dtypes = {str(raw(v).dtype) for v in (input, weight, bias) if v is not None}
    if len(dtypes) > 1:
        raise DtypeError(f"{name}: the dtypes {' and '.join(sorted(dtypes))} differ")
    if len(w) != 4 or len(x) not in (3, 4):
        raise ShapeError(f"{name}: expected (N, C, H, W) or (C, H, W) and a weight with 4 axes, got {x} and {w}")
    if 0 in x[-3:] or 0 in w:
        raise ShapeError(f"{name}: input {x} and weight {w}: only the batch may be empty")
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise ShapeError(f"{name}: groups must be a positive integer, not {groups!r}")
    if bias is not None and shape_of(bias) != (outputs,):
        raise ShapeError(f"{name}: bias {shape_of(bias)} and weight {w}: expected {outputs} values")


def _batched(x: Any, run: Callable[[Any], Any]) -> Any:
    """`run` on a batch of one, where `x` is a single image."""
    shape = shape_of(x)
    if len(shape) == 4:
        return run(x)
    y = run(reshape(x, (1, *shape)))
    return reshape(y, shape_of(y)[1:])


def _extended(x: Any, rows: int, columns: int) -> Any:
    """Zeros added below and on the right."""
    for axis, count in ((2, rows), (3, columns)):
        if count > 0:
            shape = list(shape_of(x))
            shape[axis] = count
            x = cat([x, np.zeros(shape, raw(x).dtype)], axis)
    return x


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    r"""Convolution of images (N, C, H, W), or one (C, H, W), with kernels (O, C / groups, kh, kw).

        forward    y[n, o, i, j] = bias[o]
                       + sum_cab x[n, c, i s - p + a d, j s - p + b d] w[o, c, a, b]
        backward   dx, dw: the same sum read the other way (see this module), db: the sum of g

    `padding` is a number of zeros around the image, "valid" (none) or "same" (as many as keep the
    size, for stride 1; an odd one goes to the right and below). Per axis the result has
    floor((size + 2 p - d (k - 1) - 1) / s) + 1 pixels.

    Raises ShapeError where channels, groups and sizes do not fit, DtypeError where dtypes differ.

    >>> mt.conv2d(mt.ones(1, 1, 3, 3), mt.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    name = "conv2d"
    x, w = shape_of(input), shape_of(weight)
    _check(name, input, weight, bias, w[0] if w else 0, groups)
    if x[-3] % groups or w[0] % groups or x[-3] // groups != w[1]:
        raise ShapeError(
            f"{name}: input {x} with {x[-3]} channels and weight {w} in {groups} groups: "
            "expected a weight of (a multiple of groups, channels / groups, kh, kw)"
        )
    strides, dilations = pair(name, "stride", stride, 1), pair(name, "dilation", dilation, 1)
    extra = (0, 0)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ShapeError(f"{name}: padding {padding!r} must be 'same', 'valid' or numbers")
        if padding == "same" and strides != (1, 1):
            raise ShapeError(f"{name}: padding 'same' keeps the size only with stride 1, not {strides}")
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, w[2:], strict=True)]
        padding = (total[0] // 2, total[1] // 2)
        extra = (total[0] % 2, total[1] % 2)
    paddings = pair(name, "padding", padding, 0)
    for size, more, k, p, d in zip(x[-2:], extra, w[2:], paddings, dilations, strict=True):
        span, room = d * (k - 1) + 1, size + more + 2 * p
        if span > room:
            raise ShapeError(
                f"{name}: a kernel of {k} with dilation {d} spans {span}, more than the {room} of "
                f"the input {x} with padding {p}"
            )
    return _batched(
        input,
        lambda image: apply(
            CONV2D,
            _extended(image, *extra),
            weight,
            bias,
            stride=strides,
            padding=paddings,
            dilation=dilations,
            groups=int(groups),
        ),
    )


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    r"""The transpose of `conv2d`: (N, C, H, W), kernels (C, O / groups, kh, kw) to (N, O, H', W').

        forward    y[n, o, i s - p + a d, j s - p + b d] += x[n, c, i, j] w[c, o, a, b],
                   y[n, o] += bias[o]
        backward   dx = conv2d(g, w)

    It is `conv2d_input_vjp`: each input pixel is a kernel's worth of output pixels. Per axis the
    result has (size - 1) s - 2 p + d (k - 1) + output_padding + 1 pixels; `output_padding` must be
    less than stride or dilation.

    Raises ShapeError where channels, groups and sizes do not fit, DtypeError where dtypes differ.

    >>> mt.conv_transpose2d(mt.ones(1, 1, 1, 1), mt.ones(1, 1, 2, 2))
    tensor([[[[1., 1.],
              [1., 1.]]]])
    """
    name = "conv_transpose2d"
    x, w = shape_of(input), shape_of(weight)
    _check(
        name,
        input,
        weight,
        bias,
        w[1] * groups if len(w) == 4 and isinstance(groups, int) else 0,
        groups,
    )
    if x[-3] != w[0] or w[0] % groups:
        raise ShapeError(
            f"{name}: input {x} with {x[-3]} channels and weight {w} in {groups} groups: "
            "expected a weight of (channels, outputs / groups, kh, kw), groups dividing channels"
        )
    strides, dilations = pair(name, "stride", stride, 1), pair(name, "dilation", dilation, 1)
    paddings, more = (
        pair(name, "padding", padding, 0),
        pair(name, "output_padding", output_padding, 0),
    )
    size = []
    for n, k, s, p, e, d in zip(x[-2:], w[2:], strides, paddings, more, dilations, strict=True):
        if e >= max(s, d):
            raise ShapeError(f"{name}: output_padding {e} must be less than stride {s} or dilation {d}")
        size.append((n - 1) * s - 2 * p + d * (k - 1) + e + 1)
        if size[-1] < 1:
            raise ShapeError(f"{name}: input {x}, kernel {k} and padding {p} leave an output of size {size[-1]}")
    # An output padding of whole strides makes room for more input pixels: zeros.
    rows, columns = more[0] // strides[0], more[1] // strides[1]
    y = _batched(
        input,
        lambda image: apply(
            CONV2D_INPUT_VJP,
            _extended(image, rows, columns),
            weight,
            size=(size[0], size[1]),
            stride=strides,
            padding=paddings,
            dilation=dilations,
            groups=int(groups),
        ),
    )
    return y if bias is None else add(y, reshape(bias, (shape_of(bias)[0], 1, 1)))


# --- windows as a matrix --------------------------------------------------------------------------


def _im2col_reference(x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Result:
    windows = _windows(x, kernel, stride, padding, dilation)
    n, c, oh, ow, kh, kw = windows.shape
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, oh * ow), (x.shape,)


def _im2col_forward(x: Array, **params: Any) -> Result:
    return _core.im2col(x, **params), (x.shape,)


def _im2col_dx(g: Any, x_shape: Shape, **params: Any) -> Any:
    return apply(COL2IM, g, size=x_shape[2:], **params)


def _im2col_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in _CASES + _LARGE[:1]:
        params = _params(case)
        del params["groups"]
        yield Sample((rng.standard_normal(case[0]),), {"kernel": case[1][1:], **params}, large=case in _LARGE)


IM2COL = Op(
    "im2col",
    _im2col_reference,
    _im2col_forward,
    (_im2col_dx,),
    "linear",
    _im2col_samples,
    exact=True,
)


def _col2im_reference(cols: Array, *, size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Result:
    (kh, kw), (oh, ow) = kernel, map(_out, size, kernel, stride, padding, dilation)
    windows = cols.reshape(len(cols), cols.shape[1] // (kh * kw), kh, kw, oh, ow).transpose(0, 1, 4, 5, 2, 3)
    return _add_windows(windows, size, stride, padding, dilation), ()


def _col2im_forward(cols: Array, **params: Any) -> Result:
    return _core.col2im(cols, **params), ()


def _col2im_dcols(g: Any, *, size: Pair, **params: Any) -> Any:
    return apply(IM2COL, g, **params)


def _col2im_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in _CASES + _LARGE[:1]:
        (n, c, *size), (_, kh, kw) = case[0], case[1]
        params = _params(case)
        del params["groups"]
        oh, ow = _outs(case)[2:]
        cols = rng.standard_normal((n, c * kh * kw, oh * ow))
        yield Sample((cols,), {"size": tuple(size), "kernel": (kh, kw), **params}, large=case in _LARGE)


COL2IM = Op(
    "col2im",
    _col2im_reference,
    _col2im_forward,
    (_col2im_dcols,),
    "linear",
    _col2im_samples,
    exact=True,
    length=lambda cols, *, kernel, **_: int(np.prod(kernel)),
)


def _positions(name: str, size: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """How many windows there are along each axis; raises unless there is one."""
    outs = tuple(map(_out, size, kernel, stride, padding, dilation))
    if min(outs) < 1:
        raise ShapeError(
            f"{name}: a kernel of {kernel} with dilation {dilation} does not fit into "
            f"{tuple(size)} with padding {padding}"
        )
    return outs[0], outs[1]


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    r"""The windows of images (N, C, H, W), or of one (C, H, W), as columns: (N, C * kh * kw, L).

        forward    cols[(c, a, b), (i, j)] = x[c, i s - p + a d, j s - p + b d]
        backward   dx = fold(g): each pixel gets the sum over the windows that it is in

    A convolution is then a product: conv2d(x, w) is w, as (O, C * kh * kw), times this.

    Raises ShapeError where no window fits, DtypeError for a dtype that is not floating.

    >>> mt.nn.functional.unfold(mt.ones(1, 1, 3, 3), 2).shape
    minitensor.Size([1, 4, 4])
    """
    name = "unfold"
    need_float(name, input)
    x = shape_of(input)
    if len(x) not in (3, 4) or 0 in x[-3:]:
        raise ShapeError(f"{name}: expected (N, C, H, W) or (C, H, W) without empty axes but the batch, got {x}")
    kernel, steps = pair(name, "kernel_size", kernel_size, 1), pair(name, "stride", stride, 1)
    pads, dilations = pair(name, "padding", padding, 0), pair(name, "dilation", dilation, 1)
    _positions(name, x[-2:], kernel, steps, pads, dilations)
    return _batched(
        input,
        lambda image: apply(IM2COL, image, kernel=kernel, stride=steps, padding=pads, dilation=dilations),
    )


def fold(
    input: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Any:
    r"""The transpose of `unfold`: columns (N, C * kh * kw, L) added into images (N, C, h, w).

        forward    x[c, i s - p + a d, j s - p + b d] += cols[(c, a, b), (i, j)]
        backward   dcols = unfold(g)

    Raises ShapeError where the columns are not those of such images, DtypeError for a dtype that is
    not floating.

    >>> mt.nn.functional.fold(mt.ones(1, 4, 4), (3, 3), 2)
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    name = "fold"
    need_float(name, input)
    cols = shape_of(input)
    size, kernel = (
        pair(name, "output_size", output_size, 1),
        pair(name, "kernel_size", kernel_size, 1),
    )
    steps, pads = pair(name, "stride", stride, 1), pair(name, "padding", padding, 0)
    dilations = pair(name, "dilation", dilation, 1)
    oh, ow = _positions(name, size, kernel, steps, pads, dilations)
    area = kernel[0] * kernel[1]
    if len(cols) not in (2, 3) or cols[-2] == 0 or cols[-2] % area or cols[-1] != oh * ow:
        raise ShapeError(f"{name}: expected (N, C * {area}, {oh * ow}) or (C * {area}, {oh * ow}), got {cols}")
    batch = input if len(cols) == 3 else reshape(input, (1, *cols))
    y = apply(COL2IM, batch, size=size, kernel=kernel, stride=steps, padding=pads, dilation=dilations)
    return y if len(cols) == 3 else reshape(y, shape_of(y)[1:])
