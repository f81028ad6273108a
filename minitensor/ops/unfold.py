r"""Windows of images as the columns of a matrix, and back: what a convolution is made of.

    cols[(c, a, b), (i, j)] = x[c, i s - p + a d, j s - p + b d]

with stride s, padding p and dilation d, each one number or one per axis, and zeros where x is read outside. The
transpose adds each column's values where they were read; each is the other's derivative.

Kernels: im2col and col2im in csrc/kernels/conv.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .. import _core
from ..errors import ShapeError
from ..graph.record import apply
from ..op import Op, Result, Sample
from .common import Array, Pair, folded, need_float, pair, shape_of
from .shape import reshape

Shape = tuple[int, ...]

# --- windows in NumPy -----------------------------------------------------------------------------


def windows_of(x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """(n, c, h, w) -> (n, c, oh, ow, kh, kw): what lies under the kernel at each position."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    spans = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    return sliding_window_view(padded, spans, (2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]


def add_windows(cols: Array, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """The transpose of `windows_of`: each window's values added where they were read."""
    n, c, oh, ow, kh, kw = cols.shape
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    x = np.zeros((n, c, size[0] + 2 * ph, size[1] + 2 * pw), cols.dtype)
    for a in range(kh):
        for b in range(kw):
            rows = slice(a * dh, a * dh + sh * (oh - 1) + 1, sh)
            columns = slice(b * dw, b * dw + sw * (ow - 1) + 1, sw)
            x[:, :, rows, columns] += cols[..., a, b]
    return x[:, :, ph : ph + size[0], pw : pw + size[1]]


# input (n, c, h, w), kernel (o, kh, kw), stride, padding, dilation, groups
CASES: tuple[tuple[Shape, Shape, Pair, Pair, Pair, int], ...] = (
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
LARGE: tuple[tuple[Shape, Shape, Pair, Pair, Pair, int], ...] = (
    ((8, 6, 14, 14), (16, 5, 5), (1, 1), (0, 0), (1, 1), 1),
    ((2, 40, 17, 19), (70, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 20, 13, 22), (33, 5, 4), (1, 1), (2, 3), (1, 1), 1),
    ((2, 33, 17, 15), (24, 3, 5), (1, 2), (1, 2), (1, 1), 1),
    ((3, 16, 9, 8), (16, 2, 10), (1, 1), (1, 6), (1, 1), 2),
    ((1, 12, 25, 26), (40, 12, 7), (2, 2), (5, 0), (1, 1), 1),
    ((2, 9, 2, 40), (8, 1, 17), (1, 1), (0, 3), (1, 1), 1),
    ((9, 24, 13, 12), (24, 3, 3), (2, 2), (1, 1), (1, 1), 24),
    ((3, 130, 9, 9), (33, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((9, 96, 7, 7), (80, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 128, 16, 16), (65, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    ((2, 12, 9, 37), (12, 3, 3), (1, 1), (1, 1), (1, 1), 12),
    ((2, 12, 14, 14), (24, 5, 5), (1, 1), (2, 2), (1, 1), 12),
    ((3, 12, 7, 7), (48, 3, 3), (2, 2), (0, 0), (1, 1), 1),
    ((9, 20, 5, 6), (40, 3, 3), (2, 2), (1, 1), (1, 1), 1),
    ((4, 9, 7, 9), (24, 3, 3), (3, 2), (1, 1), (2, 2), 1),
    ((2, 3, 17, 4), (40, 4, 2), (2, 2), (2, 2), (2, 2), 1),
    ((2, 3, 17, 30), (20, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((2, 40, 9, 8), (48, 5, 3), (1, 1), (4, 2), (2, 2), 1),
    ((2, 48, 9, 9), (32, 4, 5), (2, 2), (3, 4), (1, 2), 1),
)


def params_of(case: Any) -> dict[str, Any]:
    return dict(zip(("stride", "padding", "dilation", "groups"), case[2:], strict=True))


def out_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def outs_of(case: Any) -> Shape:
    """The shape of the convolution's output."""
    x, (o, *kernel), stride, padding, dilation, _ = case
    return (x[0], o, *map(out_size, x[2:], kernel, stride, padding, dilation))


def batched(axes: int, x: Any, run: Callable[[Any], Any]) -> Any:
    """`run` on a batch of one, where `x` is a single image."""
    shape = shape_of(x)
    if len(shape) == axes + 2:
        return run(x)
    y = run(reshape(x, (1, *shape)))
    return reshape(y, shape_of(y)[1:])


# --- windows as a matrix --------------------------------------------------------------------------


def _im2col_reference(x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Result:
    windows = windows_of(x, kernel, stride, padding, dilation)
    n, c, oh, ow, kh, kw = windows.shape
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, oh * ow), (x.shape,)


def _im2col_forward(x: Array, **params: Any) -> Result:
    return _core.im2col(x, **params), (x.shape,)


def _im2col_dx(g: Any, x_shape: Shape, **params: Any) -> Any:
    return apply(COL2IM, g, size=x_shape[2:], **params)


def _im2col_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in CASES + LARGE[:1]:
        params = params_of(case)
        del params["groups"]
        yield Sample((rng.standard_normal(case[0]),), {"kernel": case[1][1:], **params}, large=case in LARGE)


IM2COL = Op(
    "im2col",
    _im2col_reference,
    _im2col_forward,
    (_im2col_dx,),
    "linear",
    _im2col_samples,
    exact=True,
    batch=folded("im2col"),
)


def _col2im_reference(cols: Array, *, size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Result:
    (kh, kw), (oh, ow) = kernel, map(out_size, size, kernel, stride, padding, dilation)
    windows = cols.reshape(len(cols), cols.shape[1] // (kh * kw), kh, kw, oh, ow).transpose(0, 1, 4, 5, 2, 3)
    return add_windows(windows, size, stride, padding, dilation), ()


def _col2im_forward(cols: Array, **params: Any) -> Result:
    return _core.col2im(cols, **params), ()


def _col2im_dcols(g: Any, *, size: Pair, **params: Any) -> Any:
    return apply(IM2COL, g, **params)


def _col2im_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in CASES + LARGE[:1]:
        (n, c, *size), (_, kh, kw) = case[0], case[1]
        params = params_of(case)
        del params["groups"]
        oh, ow = outs_of(case)[2:]
        cols = rng.standard_normal((n, c * kh * kw, oh * ow))
        yield Sample((cols,), {"size": tuple(size), "kernel": (kh, kw), **params}, large=case in LARGE)


COL2IM = Op(
    "col2im",
    _col2im_reference,
    _col2im_forward,
    (_col2im_dcols,),
    "linear",
    _col2im_samples,
    exact=True,
    length=lambda cols, *, kernel, **_: int(np.prod(kernel)),
    batch=folded("col2im"),
)


def _positions(name: str, size: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """How many windows there are along each axis; raises unless there is one."""
    outs = tuple(map(out_size, size, kernel, stride, padding, dilation))
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
    return batched(
        2,
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
