r"""Convolution (as everyone calls it: the kernel is not turned round), and its transpose.

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

Kernels: csrc/kernels/conv.cpp. With some 8 channels, 3x3 goes by Winograd's F(2x2, 3x3) (conv_winograd.h), and on a CPU
with 32 vector registers so do kernels of up to 12x12, 3x3 taps at a time, where that saves a quarter along each axis.
Its error is smaller than that of the plain float32 sum, its own sums being shorter: for 64 channels of normal deviates,
the mean error in ulps of the root mean square (and the largest), and the plain sum's, are for 3x3 2.6 (17) and 3.7
(50), 5x5 2.1 (14) and 4.9 (70), 7x7 at stride 2 2.9 (17) and 9.2 (120).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _core
from ..errors import DtypeError, ShapeError
from ..graph.record import apply
from ..op import Op, Result, Sample
from .arithmetic import add
from .common import (
    Array,
    Pair,
    array_of,
    each,
    folded,
    laid_as,
    lowered,
    named,
    need_float,
    shape_of,
    with_batch,
)
from .pad import padded
from .reduce import sum
from .shape import contiguous, permute, reshape
from .unfold import CASES, COL2IM, IM2COL, LARGE, add_windows, batched, out_size, outs_of, params_of, windows_of

Shape = tuple[int, ...]


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
    windows = _grouped(windows_of(x, w.shape[2:], stride, padding, dilation), 1, groups)
    y = np.einsum("ngchwab,gocab->ngohw", windows, _grouped(w, 0, groups))
    y = y.reshape(len(x), len(w), *y.shape[3:])
    return y if bias is None else y + bias[:, None, None], (x, w, x.shape, w.shape)


def _conv2d_forward(x: Array, w: Array, bias: Array | None, **params: Any) -> Result:
    return laid_as(_core.conv2d(x, w, bias, **params), x, w), (x, w, x.shape, w.shape)


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
        moved = apply(CONV2D, np.zeros(x_shape, array_of(dbias).dtype), w, dbias, **params)
    return moved


def _conv_length(x: Array, w: Array, *_: Any, **params: Any) -> int:
    """How many terms the longest sum of a convolution and its gradients has."""
    return int(max(np.prod(w.shape[1:]), np.prod(x.shape[2:]) * len(x), np.prod(w.shape) // w.shape[1]))


def _conv2d_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in CASES + LARGE:
        x, (o, kh, kw), groups = case[0], case[1], case[-1]
        args = (
            rng.standard_normal(x),
            rng.standard_normal((o, x[1] // groups, kh, kw)),
            rng.standard_normal(o),
        )
        yield Sample(args, params_of(case), large=case in LARGE)
    yield Sample(
        (rng.standard_normal((1, 2, 3, 3)), rng.standard_normal((1, 2, 2, 2)), None),
        params_of(CASES[0]),
    )


# In a batch each element has its own examples, or with weights of its own its own groups.


def _channels(x: Any) -> Any:
    """(batch, examples, channels, ...) with the batch among the channels."""
    moved = permute(x, (1, 0, *range(2, len(shape_of(x)))))
    n, size, channels, *rest = shape_of(moved)
    return reshape(moved, (n, size * channels, *rest))


def _from_channels(y: Any, size: int) -> Any:
    n, channels, *rest = shape_of(y)
    parted = reshape(y, (n, size, channels // size, *rest))
    return permute(parted, (1, 0, *range(2, len(shape_of(parted)))))


def _joined(w: Any) -> Any:
    """The weights, or biases, of a batch one behind another."""
    size, n, *rest = shape_of(w)
    return reshape(w, (size * n, *rest))


def _conv2d_batch(args: Any, flags: Any, *, groups: int, **params: Any) -> Any:
    if not any(flags[1:]):
        return folded("conv2d")(args, flags, groups=groups, **params)
    x, w, bias = with_batch(args, flags)
    size = shape_of(w)[0]
    bias = None if bias is None else _joined(bias)
    return _from_channels(apply(CONV2D, _channels(x), _joined(w), bias, groups=size * groups, **params), size)


def _input_vjp_batch(args: Any, flags: Any, *, groups: int, **params: Any) -> Any:
    if not flags[1]:
        return folded("conv2d_input_vjp")(args, flags, groups=groups, **params)
    g, w = with_batch(args, flags)
    size = shape_of(w)[0]
    return _from_channels(apply(CONV2D_INPUT_VJP, _channels(g), _joined(w), groups=size * groups, **params), size)


def _weight_vjp_batch(args: Any, flags: Any, *, groups: int, **params: Any) -> Any:
    g, x = with_batch(args, flags)
    size, _, channels, *_ = shape_of(g)
    dw = apply(CONV2D_WEIGHT_VJP, _channels(g), _channels(x), groups=size * groups, **params)
    return reshape(dw, (size, channels, *shape_of(dw)[1:]))


CONV2D = Op(
    "conv2d",
    _conv2d_reference,
    _conv2d_forward,
    (_conv2d_dx, _conv2d_dw, _conv2d_dbias),
    _conv2d_jvp,
    _conv2d_samples,
    exact=True,
    length=_conv_length,
    batch=_conv2d_batch,
    flat=True,
)


def _input_vjp_reference(
    g: Array, w: Array, *, size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Result:
    cols = np.einsum("ngohw,gocab->ngchwab", _grouped(g, 1, groups), _grouped(w, 0, groups))
    cols = cols.reshape(len(g), groups * w.shape[1], *cols.shape[3:])
    return add_windows(cols, size, stride, padding, dilation), (g, w, w.shape)


def _input_vjp_forward(g: Array, w: Array, **params: Any) -> Result:
    return _core.conv2d_input_vjp(g, w, **params), (g, w, w.shape)


def _input_vjp_dg(h: Any, _g: Any, w: Any, _w_shape: Shape, *, size: Pair, **params: Any) -> Any:
    return apply(CONV2D, h, w, None, **params)


def _input_vjp_dw(h: Any, g: Any, _w: Any, w_shape: Shape, *, size: Pair, **params: Any) -> Any:
    return apply(CONV2D_WEIGHT_VJP, g, h, kernel=w_shape[2:], **params)


def _input_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in CASES + LARGE:
        x, (o, kh, kw), groups = case[0], case[1], case[-1]
        args = (rng.standard_normal(outs_of(case)), rng.standard_normal((o, x[1] // groups, kh, kw)))
        yield Sample(args, {"size": x[2:], **params_of(case)}, large=case in LARGE)


CONV2D_INPUT_VJP = Op(
    "conv2d_input_vjp",
    _input_vjp_reference,
    _input_vjp_forward,
    (_input_vjp_dg, _input_vjp_dw),
    "multilinear",
    _input_vjp_samples,
    exact=True,
    length=_conv_length,
    batch=_input_vjp_batch,
)


def _weight_vjp_reference(
    g: Array, x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Result:
    windows = _grouped(windows_of(x, kernel, stride, padding, dilation), 1, groups)
    dw = np.einsum("ngohw,ngchwab->gocab", _grouped(g, 1, groups), windows)
    return dw.reshape(g.shape[1], *dw.shape[2:]), (g, x, x.shape)


def _weight_vjp_forward(g: Array, x: Array, **params: Any) -> Result:
    return _core.conv2d_weight_vjp(g, x, **params), (g, x, x.shape)


def _weight_vjp_dg(v: Any, _g: Any, x: Any, _x_shape: Shape, *, kernel: Pair, **params: Any) -> Any:
    return apply(CONV2D, x, v, None, **params)


def _weight_vjp_dx(v: Any, g: Any, _x: Any, x_shape: Shape, *, kernel: Pair, **params: Any) -> Any:
    return apply(CONV2D_INPUT_VJP, g, v, size=x_shape[2:], **params)


def _weight_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in CASES + LARGE:
        args = (rng.standard_normal(outs_of(case)), rng.standard_normal(case[0]))
        yield Sample(args, {"kernel": case[1][1:], **params_of(case)}, large=case in LARGE)


CONV2D_WEIGHT_VJP = Op(
    "conv2d_weight_vjp",
    _weight_vjp_reference,
    _weight_vjp_forward,
    (_weight_vjp_dg, _weight_vjp_dx),
    "multilinear",
    _weight_vjp_samples,
    exact=True,
    length=lambda g, x, **_: int(np.prod(g.shape[2:])) * len(g) + 1,
    batch=_weight_vjp_batch,
)


# --- what a convolution is told -------------------------------------------------------------------
# All run on the three operators of the plane: along one axis, it is the row of a plane of height 1; in
# space, each output's slices are gathered into the channels (`_slices`), or scattered from them.

_LETTERS = ("L", "H, W", "D, H, W")


def _check_dtypes(name: str, input: Any, weight: Any, bias: Any) -> None:
    """Raises unless all are of one floating dtype."""
    need_float(name, input, weight, bias)
    dtypes = {array_of(v).dtype for v in (input, weight, bias) if v is not None}
    if len(dtypes) > 1:
        raise DtypeError(f"{name}: the dtypes {' and '.join(sorted(map(str, dtypes)))} differ")


def _check(name: str, axes: int, x: Shape, w: Shape, bias: Shape | None, groups: Any, transposed: bool) -> None:
    """Raises unless the ranks, channels, groups and bias fit, and no size but the batch is zero."""
    if len(w) != axes + 2 or len(x) not in (axes + 1, axes + 2):
        inner = _LETTERS[axes - 1]
        raise ShapeError(
            f"{name}: expected (N, C, {inner}) or (C, {inner}) and a weight with {axes + 2} axes, got {x} and {w}"
        )
    channels = x[-axes - 1]
    if 0 in x[-axes - 1 :] or 0 in w:
        raise ShapeError(f"{name}: input {x} and weight {w}: only the batch may be empty")
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise ShapeError(f"{name}: groups must be a positive integer, not {groups!r}")
    wanted = "(channels, outputs / groups, *kernel)" if transposed else "(outputs, channels / groups, *kernel)"
    if w[0] % groups or channels != (w[0] if transposed else w[1] * groups):
        raise ShapeError(
            f"{name}: input {x} with {channels} channels and weight {w} in {groups} groups: "
            f"expected a weight of {wanted}, groups dividing both channels and outputs"
        )
    outputs = w[1] * groups if transposed else w[0]
    if bias is not None and bias != (outputs,):
        raise ShapeError(f"{name}: bias {bias} and weight {w}: expected {outputs} values")


def _plane(x: Any) -> Any:
    """(a, b, n) as (a, b, 1, n)."""
    a, b, n = shape_of(x)
    return reshape(x, (a, b, 1, n))


def _slices(x: Any, kernel: int, stride: int, padding: int, dilation: int) -> Any:
    """(n, c, d, h, w) -> (n * od, c * kernel, h, w): for each place along the depth the slices under its kernel."""
    n, c, d, h, w = shape_of(x)
    steps = {"kernel": (kernel, 1), "stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    cols = apply(IM2COL, reshape(x, (n, c, d, h * w)), **steps)
    od = out_size(d, kernel, stride, padding, dilation)
    moved = permute(reshape(cols, (n, c * kernel, od, h * w)), (0, 2, 1, 3))
    return reshape(moved, (n * od, c * kernel, h, w))


def _add_slices(y: Any, n: int, size: int, kernel: int, stride: int, padding: int, dilation: int) -> Any:
    """The transpose of `_slices`: (n * od, c * kernel, h, w) -> (n, c, size, h, w)."""
    _, ck, h, w = shape_of(y)
    od = out_size(size, kernel, stride, padding, dilation)
    moved = permute(reshape(y, (n, od, ck, h * w)), (0, 2, 1, 3))
    steps = {"kernel": (kernel, 1), "stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    x = apply(COL2IM, reshape(moved, (n, ck, od * h * w)), size=(size, h * w), **steps)
    return reshape(x, (n, ck // kernel, size, h, w))


def _steps(stride: Shape, padding: Shape, dilation: Shape, groups: int) -> dict[str, Any]:
    """The parameters of the plane's operators from those of one, two or three axes."""
    two = [((fill, *v) if len(v) == 1 else v[-2:]) for v, fill in ((stride, 1), (padding, 0), (dilation, 1))]
    return {"stride": two[0], "padding": two[1], "dilation": two[2], "groups": int(groups)}


def _planned(
    name: str,
    axes: int,
    x: Shape,
    w: Shape,
    bias: Shape | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> tuple[Shape, Shape, Shape, list[int], dict[str, Any]]:
    """Strides, paddings and dilations by axis, what padding "same" adds at the end, the plane's parameters; checked."""
    _check(name, axes, x, w, bias, groups, False)
    strides, dilations = each(name, "stride", stride, 1, axes), each(name, "dilation", dilation, 1, axes)
    extra = [0] * axes
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ShapeError(f"{name}: padding {padding!r} must be 'same', 'valid' or numbers")
        if padding == "same" and any(s != 1 for s in strides):
            raise ShapeError(f"{name}: padding 'same' keeps the size only with stride 1, not {strides}")
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, w[2:], strict=True)]
        padding, extra = tuple([n // 2 for n in total]), [n % 2 for n in total]
    paddings = each(name, "padding", padding, 0, axes)
    for size, more, k, p, d in zip(x[-axes:], extra, w[2:], paddings, dilations, strict=True):
        span, room = d * (k - 1) + 1, size + more + 2 * p
        if span > room:
            raise ShapeError(
                f"{name}: a kernel of {k} with dilation {d} spans {span}, more than the {room} of "
                f"the input {x} with padding {p}"
            )
    return strides, paddings, dilations, extra, _steps(strides, paddings, dilations, groups)


_remembered = lru_cache(maxsize=1024, typed=True)(_planned)  # a small convolution takes less time than its checks


def _is_plain(value: Any) -> bool:
    """Whether it is an integer or a tuple of these: equal ones mean the same, which 1 and 1.0 do not."""
    if type(value) is tuple:
        for one in value:  # a small convolution feels what a set of their types would take
            if type(one) is not int:
                return False
        return bool(value)
    return type(value) is int


def _convolution(
    name: str,
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Any:
    """conv1d, conv2d, conv3d."""
    input, weight, bias = lowered(input, weight, bias)
    _check_dtypes(name, input, weight, bias)
    x, w = shape_of(input), shape_of(weight)
    plain = _is_plain(stride) and _is_plain(padding) and _is_plain(dilation)
    strides, paddings, dilations, extra, params = (_remembered if plain else _planned)(
        name, axes, x, w, None if bias is None else shape_of(bias), stride, padding, dilation, groups
    )
    if axes == 2 and len(x) == 4 and not any(extra):
        return apply(CONV2D, input, weight, bias, **params)

    def run(image: Any) -> Any:
        if any(extra):
            image = padded(name, image, [(0, more) for more in extra])
        if axes == 1:
            y = apply(CONV2D, _plane(contiguous(image)), _plane(weight), bias, **params)
            return reshape(y, (shape_of(y)[0], w[0], shape_of(y)[3]))
        if axes == 2:
            return apply(CONV2D, image, weight, bias, **params)
        slices = _slices(image, w[2], strides[0], paddings[0], dilations[0])
        y = apply(CONV2D, slices, reshape(weight, (w[0], w[1] * w[2], *w[3:])), bias, **params)
        n = shape_of(image)[0]
        depth = out_size(shape_of(image)[2], w[2], strides[0], paddings[0], dilations[0])
        return contiguous(permute(reshape(y, (n, depth, *shape_of(y)[1:])), (0, 2, 1, 3, 4)))

    return batched(axes, input, run)


def _transposed(
    name: str,
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    """conv_transpose1d, conv_transpose2d, conv_transpose3d."""
    input, weight, bias = lowered(input, weight, bias)
    _check_dtypes(name, input, weight, bias)
    x, w = shape_of(input), shape_of(weight)
    _check(name, axes, x, w, None if bias is None else shape_of(bias), groups, True)
    strides, dilations = each(name, "stride", stride, 1, axes), each(name, "dilation", dilation, 1, axes)
    paddings, more = (
        each(name, "padding", padding, 0, axes),
        each(name, "output_padding", output_padding, 0, axes),
    )
    size = []
    for n, k, s, p, e, d in zip(x[-axes:], w[2:], strides, paddings, more, dilations, strict=True):
        if e >= max(s, d):
            raise ShapeError(f"{name}: output_padding {e} must be less than stride {s} or dilation {d}")
        size.append((n - 1) * s - 2 * p + d * (k - 1) + e + 1)
        if size[-1] < 1:
            raise ShapeError(f"{name}: input {x}, kernel {k} and padding {p} leave an output of size {size[-1]}")
    # An output padding of whole strides makes room for more input pixels: zeros.
    room = [(0, e // s) for e, s in zip(more, strides, strict=True)]
    params = _steps(strides, paddings, dilations, groups)

    def run(image: Any) -> Any:
        if any(after for _, after in room):
            image = padded(name, image, room)
        if axes == 1:
            y = apply(CONV2D_INPUT_VJP, _plane(image), _plane(weight), size=(1, size[0]), **params)
            return reshape(y, (shape_of(y)[0], shape_of(y)[1], size[0]))
        if axes == 2:
            return apply(CONV2D_INPUT_VJP, image, weight, size=tuple(size), **params)
        n, c, d, *plane = shape_of(image)
        slices = reshape(permute(image, (0, 2, 1, 3, 4)), (n * d, c, *plane))
        flat = reshape(weight, (w[0], w[1] * w[2], *w[3:]))
        y = apply(CONV2D_INPUT_VJP, slices, flat, size=tuple(size[1:]), **params)
        return _add_slices(y, n, size[0], w[2], strides[0], paddings[0], dilations[0])

    y = batched(axes, input, run)
    return y if bias is None else add(y, reshape(bias, (shape_of(bias)[0], *(1,) * axes)))


@named("ConvolutionBackward0")
def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    r"""Convolution of sequences (N, C, L), or one (C, L), with kernels (O, C / groups, k).

        forward    y[n, o, i] = bias[o] + sum_ca x[n, c, i s - p + a d] w[o, c, a]
        backward   dx, dw: the same sum read the other way, db: the sum of g

    It is `conv2d` of images of height 1; `padding`, the result's length and the errors are those of
    `conv2d`.

    >>> mt.conv1d(mt.tensor([[[1.0, 2.0, 4.0]]]), mt.tensor([[[1.0, -1.0]]]))
    tensor([[[-1., -2.]]])
    """
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


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
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@named("ConvolutionBackward0")
def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    r"""Convolution of volumes (N, C, D, H, W), or one (C, D, H, W), with kernels (O, C / groups, kd, kh, kw).

        forward    y[n, o, l, i, j] = bias[o]
                       + sum_ceab x[n, c, l s - p + e d, i s - p + a d, j s - p + b d] w[o, c, e, a, b]
        backward   dx, dw: the same sum read the other way, db: the sum of g

    It is `conv2d` over images whose channels are the kd slices that meet the kernel; `padding`, the
    result's sizes and the errors are those of `conv2d`.

    >>> mt.conv3d(mt.ones(1, 1, 2, 3, 3), mt.ones(1, 1, 2, 2, 2)).shape
    minitensor.Size([1, 1, 1, 2, 2])
    """
    return _convolution("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@named("ConvolutionBackward0")
def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    r"""The transpose of `conv1d`: (N, C, L), kernels (C, O / groups, k) to (N, O, L').

        forward    y[n, o, i s - p + a d] += x[n, c, i] w[c, o, a],  y[n, o] += bias[o]
        backward   dx = conv1d(g, w)

    Sizes and errors are those of `conv_transpose2d`.

    >>> mt.conv_transpose1d(mt.tensor([[[1.0, 2.0]]]), mt.tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@named("ConvolutionBackward0")
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
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@named("ConvolutionBackward0")
def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    r"""The transpose of `conv3d`: (N, C, D, H, W), kernels (C, O / groups, kd, kh, kw) to (N, O, D', H', W').

        forward    y[n, o, l s - p + e d, i s - p + a d, j s - p + b d] += x[n, c, l, i, j] w[c, o, e, a, b],
                   y[n, o] += bias[o]
        backward   dx = conv3d(g, w)

    Sizes and errors are those of `conv_transpose2d`.

    >>> mt.conv_transpose3d(mt.ones(1, 1, 1, 1, 1), mt.ones(1, 2, 2, 2, 2)).shape
    minitensor.Size([1, 2, 2, 2, 2])
    """
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
