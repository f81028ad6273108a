"""What each layer's operator is among ONNX's: products, convolutions, pools, norms, losses, recurrent layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .write import Size, Varies, writes
from .write_ops import LAST, reduced, reshaped


@writes("linear")
def _linear(b: Any, s: Any, x: str, w: str, bias: str | None = None) -> Any:
    if len(b.shapes[x]) == 2:
        y = b.node("Gemm", x, w, bias, transB=1)
    else:
        y = b.node("MatMul", x, b.node("Transpose", w, perm=[1, 0]))
        y = y if bias is None else b.node("Add", y, bias)
    b.linear[y] = (x, w, bias)
    return y


@writes("attention")
def _attention(b: Any, s: Any, q: str, k: str, v: str, mask: str | None = None, *, causal: bool, scale: float) -> Any:
    rank = len(b.shapes[k])
    turned = b.node("Transpose", k, perm=[*range(rank - 2), rank - 1, rank - 2])
    scores = b.node("MatMul", b.node("Mul", q, b.number(scale, q)), turned)
    if causal:
        seen = b.triangle(b.shapes[q][-2], b.shapes[k][-2])
        scores = b.node("Where", seen, scores, b.number(-math.inf, q))
    if mask is not None:
        added = mask
        if b.dtypes.get(mask, _dtype_of(b, mask)).kind == "b":
            added = b.node("Where", mask, b.number(0, q), b.number(-math.inf, q))
        scores = b.node("Add", scores, added)
    weights = b.node("Softmax", scores, axis=-1)
    if mask is not None:  # a query that may see no key
        weights = b.node("Where", b.node("IsNaN", weights), b.number(0, q), weights)
    return b.node("MatMul", weights, v)


def _dtype_of(b: Any, name: str) -> Any:
    return b.initializers[name].dtype if name in b.initializers else np.dtype(np.float32)


# --- convolutions -----------------------------------------------------------------------------------------------------


@writes("conv2d")
def _conv2d(
    b: Any, s: Any, x: str, w: str, bias: str | None, *, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    return b.node(
        "Conv",
        x,
        w,
        bias,
        kernel_shape=b.shapes[w][2:],
        strides=stride,
        pads=[*padding, *padding],
        dilations=dilation,
        group=groups,
    )


@writes("conv2d_input_vjp")
def _conv_transpose2d(
    b: Any, s: Any, x: str, w: str, *, size: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    more = []
    for n, m, k, st, p, d in zip(b.shapes[x][2:], size, b.shapes[w][2:], stride, padding, dilation, strict=True):
        sizes = n.values if isinstance(n, Size) else [n]
        wants = m.values if isinstance(m, Size) else [m] * len(sizes)
        rest = {want - ((have - 1) * st - 2 * p + d * (k - 1) + 1) for have, want in zip(sizes, wants, strict=True)}
        if len(rest) > 1:
            raise b.vary(f"the result's size {m!r}")
        more.append(rest.pop())
    return b.node(
        "ConvTranspose",
        x,
        w,
        kernel_shape=b.shapes[w][2:],
        strides=stride,
        pads=[*padding, *padding],
        dilations=dilation,
        group=groups,
        output_padding=more,
    )


@writes("im2col")
def _im2col(b: Any, s: Any, x: str, *, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    sizes = b.shapes[x][2:]
    if any(isinstance(n, Varies) for n in sizes):
        raise b.vary(f"the number of windows over {sizes}")
    channels = b.shapes[x][1]
    if any(padding):
        x = b.node("Pad", x, b.const([0, 0, *padding, 0, 0, *padding], np.int64))
    counts = []
    for i, (n, k, st, p, d) in enumerate(zip(sizes, kernel, stride, padding, dilation, strict=True)):
        out = (n + 2 * p - d * (k - 1) - 1) // st + 1
        at = np.arange(k)[:, None] * d + np.arange(out) * st
        x = b.node("Gather", x, b.const(at, np.int64), axis=2 + 2 * i)
        counts.append(out)
    x = b.node("Transpose", x, perm=[0, 1, 2, 4, 3, 5])
    return b.node("Reshape", x, b.const([0, channels * math.prod(kernel), math.prod(counts)], np.int64))


@writes("col2im")
def _col2im(b: Any, s: Any, x: str, *, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    if b.opset < 18:  # a transposed convolution that puts each row of a column in its place
        wide, area = b.shapes[x][1], math.prod(kernel)
        counts = [
            (n + 2 * p - d * (k - 1) - 1) // st + 1
            for n, k, st, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
        ]
        more = [
            n - ((m - 1) * st - 2 * p + d * (k - 1) + 1)
            for n, m, k, st, p, d in zip(size, counts, kernel, stride, padding, dilation, strict=True)
        ]
        places = np.tile(np.eye(area).reshape(area, 1, *kernel), (wide // area, 1, 1, 1)).astype(b.dtypes[x])
        return b.node(
            "ConvTranspose",
            b.node("Reshape", x, b.const([0, wide, *counts], np.int64)),
            b.const(places),
            kernel_shape=kernel,
            strides=stride,
            pads=[*padding, *padding],
            dilations=dilation,
            group=wide // area,
            output_padding=more,
        )
    return b.node(
        "Col2Im",
        x,
        b.ints(size),
        b.const(list(kernel), np.int64),
        dilations=dilation,
        pads=[*padding, *padding],
        strides=stride,
    )


# --- pools ------------------------------------------------------------------------------------------------------------


def _end_padding(n: int, m: int, k: int, s: int, p: int, d: int) -> int:
    """The padding behind an axis of size n with which there are m windows, rounding down."""
    need = (m - 1) * s + (k - 1) * d + 1 - n - p
    return p if (n + 2 * p - (k - 1) * d - 1) // s + 1 == m else max(need, 0)


@writes("max_pool2d", "max_pool2d_with_indices")
def _max_pool2d(b: Any, s: Any, x: str, *, kernel: Any, stride: Any, padding: Any, dilation: Any, out: Any) -> Any:
    ends = []
    for n, m, k, st, p, d in zip(b.shapes[x][-2:], out, kernel, stride, padding, dilation, strict=True):
        pairs = zip(n.values, m.values, strict=True) if isinstance(n, Size) and isinstance(m, Size) else [(n, m)]
        if isinstance(n, Size) and not isinstance(m, Size):
            pairs = [(v, m) for v in n.values]
        found = {_end_padding(have, want, k, st, p, d) for have, want in pairs}
        ends.append(found.pop() if len(found) == 1 else None)
    how = dict(kernel_shape=kernel, strides=stride, pads=[*padding, *ends], dilations=dilation)
    if None in ends:  # how much is missing to a whole window depends on the size
        how |= dict(pads=[*padding, *padding], ceil_mode=1)
    return _pooled(b, s, x, "MaxPool", how, len(s.outs))


def _pooled(b: Any, s: Any, x: str, kind: str, how: dict[str, Any], outputs: int) -> Any:
    """A pool's node; ONNX wants (N, C, H, W), and counts the places through all planes."""
    shape = list(b.shapes[x])
    if len(shape) < 4:
        images = b.node("Unsqueeze", x, b.const([0], np.int64))
    elif len(shape) == 4:
        images = x
    else:
        images = reshaped(b, x, [1, -1, *shape[-2:]], ())
    made = b.node(kind, images, outputs=outputs, **how)
    outs = [made] if outputs == 1 else list(made)
    if len(outs) == 2:
        rows, cols = shape[-2:]
        if isinstance(rows, Varies) or isinstance(cols, Varies):
            raise b.vary(f"the number of places in a plane of {shape[-2:]}")
        outs[1] = b.node("Mod", outs[1], b.const(rows * cols, np.int64))
    if len(shape) < 4:
        outs = [b.node("Squeeze", y, b.const([0], np.int64)) for y in outs]
    elif len(shape) > 4:
        outs = [reshaped(b, y, s.shape(), ()) for y in outs]
    return outs


def _equal_windows(table: Any, size: int) -> Any:
    """(kernel, stride, padding before, padding after, whether the padding counts) of equal windows, or None."""
    begin, end, count = np.asarray(table).T
    out = len(table)
    for p in range(int(end[0] - begin[0]) + 1):
        k = int(end[0]) + p if end[0] < size or out == 1 else int(max(end - begin)) + p
        if out == 1:
            s = max(size, 1)
        else:
            inner = [(b + p) // i for i, b in enumerate(begin.tolist()) if i and b and (b + p) % i == 0]
            s = inner[0] if inner else 0
        if s < 1 or p >= k:
            continue
        start = np.arange(out) * s - p
        if not (np.array_equal(np.maximum(start, 0), begin) and np.array_equal(np.minimum(start + k, size), end)):
            continue
        after = _end_padding(size, out, k, s, p, 1)
        if after >= k or (size + p + after - k) // s + 1 != out:
            continue
        if np.array_equal(count, end - begin):
            return k, s, p, after, 0
        if np.array_equal(count, np.minimum(start + k, size + after) - start):
            return k, s, p, after, 1
    return None


def _tables(b: Any, x: str, rows: Any, cols: Any) -> list[list[tuple[Any, int]]]:
    """Of rows and of columns, in each trace: the table of windows, and the size of the axis."""
    out = []
    for table, n in zip((rows, cols), b.shapes[x][-2:], strict=True):
        tables = table.values if isinstance(table, Varies) else [table]
        sizes = n.values if isinstance(n, Size) else [n] * len(tables)
        out.append(list(zip(tables * (len(sizes) // len(tables)), sizes, strict=True)))
    return out


def _windows_of(b: Any, x: str, rows: Any, cols: Any) -> list[Any]:
    """Of rows and of columns: (kernel, stride, ...) if the windows are equal, the same in all traces; else None."""
    found = []
    for each in _tables(b, x, rows, cols):
        kinds = {_equal_windows(*pair) for pair in each}
        found.append(kinds.pop() if len(kinds) == 1 else None)
    return found


@writes("avg_pool2d")
def _avg_pool2d(b: Any, s: Any, x: str, *, rows: Any, cols: Any) -> Any:
    found = _windows_of(b, x, rows, cols)
    if all(found):
        (kh, sh, ph, eh, ch), (kw, sw, pw, ew, cw) = found
        padded = {c for c, p in ((ch, ph + eh), (cw, pw + ew)) if p} or {0}
        if len(padded) == 1:
            how = dict(kernel_shape=[kh, kw], strides=[sh, sw], pads=[ph, pw, eh, ew], count_include_pad=padded.pop())
            return _pooled(b, s, x, "AveragePool", how, 1)
    dtype, sizes = b.dtypes[x], [each[0][1] for each in _tables(b, x, rows, cols)]
    for side, table in ((1, cols), (0, rows)):
        if isinstance(table, Varies):
            raise b.vary("the windows of a mean")
        size = sizes[side]
        matrix = np.zeros((len(table), size), dtype)
        for row, (begin, end, count) in zip(matrix, np.asarray(table).tolist(), strict=True):
            row[begin:end] = 1 / count
        if np.array_equal(matrix, np.eye(len(table), size)):
            continue
        if side:
            x = b.node("MatMul", x, b.const(np.ascontiguousarray(matrix.T)))
        else:
            x = b.node("MatMul", b.const(matrix), x)
    return b.node("Identity", x)


@writes("adaptive_max_pool2d")
def _adaptive_max_pool2d(b: Any, s: Any, x: str, *, rows: Any, cols: Any) -> Any:
    found = _windows_of(b, x, rows, cols)
    if all(found):
        (kh, sh, ph, eh, _), (kw, sw, pw, ew, _) = found
        how = dict(kernel_shape=[kh, kw], strides=[sh, sw], pads=[ph, pw, eh, ew])
        return _pooled(b, s, x, "MaxPool", how, 2)
    if all(len(t) == 1 and t[0][1] == n for each in _tables(b, x, rows, cols) for t, n in each):
        rank = len(b.shapes[x])
        return reduced(b, "ReduceMax", x, (rank - 2, rank - 1), True), None
    if isinstance(rows, Varies) or isinstance(cols, Varies):
        raise b.vary("the windows of a maximum")
    rank = len(b.shapes[x])
    for axis, table in ((rank - 1, cols), (rank - 2, rows)):
        parts = []
        for begin, end, _ in np.asarray(table).tolist():
            ends = [b.const([n], np.int64) for n in (begin, end, axis)]
            parts.append(reduced(b, "ReduceMax", b.node("Slice", x, *ends), (axis,), True))
        x = parts[0] if len(parts) == 1 else b.node("Concat", *parts, axis=axis)
    return b.node("Identity", x), None


@writes("max_unpool1d()", "max_unpool2d()", "max_unpool3d()")
def _max_unpool(b: Any, s: Any, *, input: Any, indices: Any, **_: Any) -> Any:
    axes = int(s.name[len("max_unpool")])
    shape = s.shape()
    if any(isinstance(n, Varies) for n in shape[-axes:]):
        raise b.vary(f"the size {shape[-axes:]}")
    x, at = [b.node("Flatten", b.argument(v), axis=len(shape) - axes) for v in (input, indices)]
    zeros = b.node("Expand", b.const(np.zeros((), input.dtype)), b.ints([1, math.prod(shape[-axes:])]))
    lead = b.node("Slice", b.node("Shape", x), b.const([0], np.int64), b.const([1], np.int64))
    zeros = b.node("Expand", zeros, b.node("Concat", lead, b.const([1], np.int64), axis=0))
    return reshaped(b, b.node("ScatterElements", zeros, at, x, axis=1), shape, ())


@writes("grid_sample()")
def _grid_sample(
    b: Any, s: Any, *, input: Any, grid: Any, mode: str, padding_mode: str, align_corners: bool | None
) -> Any:
    if b.opset < 16:
        raise b.refuse("grid_sample, which the sets from 16 on have,")
    if len(input.shape) != 4 and b.opset < 20:
        raise b.refuse("grid_sample of volumes, which the sets from 20 on have,")
    modes = {"bilinear": "linear", "bicubic": "cubic"} if b.opset >= 20 else {}
    return b.node(
        "GridSample",
        b.argument(input),
        b.argument(grid),
        mode=modes.get(mode, mode),
        padding_mode=padding_mode,
        align_corners=int(bool(align_corners)),
    )


# --- norms ------------------------------------------------------------------------------------------------------------


def _ones(b: Any, value: float, n: Any, like: str) -> Any:
    return b.const(np.full((n,), value, b.dtypes[like]))


@writes("batch_norm_fixed")
def _batch_norm_fixed(
    b: Any, s: Any, x: str, mean: str, var: str, weight: str | None, bias: str | None, *, eps: float
) -> Any:
    n = b.shapes[mean][0] if mean in b.shapes else b.initializers[mean].shape[0]
    scale = _ones(b, 1, n, x) if weight is None else weight
    shift = _ones(b, 0, n, x) if bias is None else bias
    return b.node("BatchNormalization", x, scale, shift, mean, var, epsilon=eps)


@writes("batch_norm")
def _batch_norm(b: Any, s: Any, x: str, weight: Any, bias: Any, *_: Any, axes: Any, eps: float, momentum: float) -> Any:
    if momentum and any(a is not None for a in s.args[3:5]):
        raise b.refuse("batch norm in training mode, which updates running statistics,")
    return _normalised(b, x, weight, bias, axes, eps)


def _normalised(b: Any, x: str, weight: Any, bias: Any, axes: Any, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps), weighted by channels (or by the last axes, of a layer norm)."""
    rank = len(b.shapes[x])
    centred = b.node("Sub", x, reduced(b, "ReduceMean", x, axes, True))
    var = reduced(b, "ReduceMean", b.node("Mul", centred, centred), axes, True)
    y = b.node("Div", centred, b.node("Sqrt", b.node("Add", var, b.number(eps, x))))
    wide = None if rank - 1 in axes and 1 in range(rank) and 0 not in axes else [-1, *[1] * (rank - 2)]
    for kind, w in (("Mul", weight), ("Add", bias)):
        if w is not None:
            y = b.node(kind, y, w if wide is None or rank < 3 else b.node("Reshape", w, b.const(wide, np.int64)))
    return y


@writes("layer_norm")
def _layer_norm(b: Any, s: Any, x: str, weight: Any, bias: Any, *, axes: Any, eps: float) -> Any:
    if b.opset < 17:
        return _normalised(b, x, weight, bias, axes, eps)
    sizes = [b.shapes[x][d] for d in axes]
    if weight is None:
        if any(isinstance(n, Varies) for n in sizes):
            return _normalised(b, x, weight, bias, axes, eps)
        weight = b.const(np.ones(sizes, b.dtypes[x]))
    return b.node("LayerNormalization", x, weight, bias, axis=axes[0] - len(b.shapes[x]), epsilon=eps)


@writes("rms_norm")
def _rms_norm(b: Any, s: Any, x: str, weight: Any, *, axes: Any, eps: float) -> Any:
    square = reduced(b, "ReduceMean", b.node("Mul", x, x), axes, True)
    y = b.node("Div", x, b.node("Sqrt", b.node("Add", square, b.number(eps, x))))
    return y if weight is None else b.node("Mul", y, weight)


@writes("group_norm")
def _group_norm(b: Any, s: Any, x: str, weight: Any, bias: Any, *, groups: int, eps: float) -> Any:
    shape = b.shapes[x]
    channels = shape[1]
    if b.opset >= 21:
        scale = _ones(b, 1, channels, x) if weight is None else weight
        shift = _ones(b, 0, channels, x) if bias is None else bias
        return b.node("GroupNormalization", x, scale, shift, num_groups=groups, epsilon=eps)
    if groups == channels and len(shape) > 2:
        scale = _ones(b, 1, channels, x) if weight is None else weight
        shift = _ones(b, 0, channels, x) if bias is None else bias
        return b.node("InstanceNormalization", x, scale, shift, epsilon=eps)
    flat = b.node("Reshape", x, b.const([0, groups, -1], np.int64))
    y = b.node("InstanceNormalization", flat, _ones(b, 1, groups, x), _ones(b, 0, groups, x), epsilon=eps)
    y = b.node("Reshape", y, b.node("Shape", x))
    for kind, w in (("Mul", weight), ("Add", bias)):
        if w is not None:
            y = b.node(kind, y, b.node("Reshape", w, b.const([-1, *[1] * (len(shape) - 2)], np.int64)))
    return y


# --- losses -----------------------------------------------------------------------------------------------------------


@writes("error")
def _error(b: Any, s: Any, x: str, y: str, *, kind: str, delta: float) -> Any:
    d = b.node("Sub", x, y)
    if kind == "squared":
        return b.node("Mul", d, d)
    size = b.node("Abs", d)
    if kind == "absolute":
        return size
    bound = b.number(delta, x)
    line = b.node("Mul", bound, b.node("Sub", size, b.number(delta / 2, x)))
    parabola = b.node("Mul", b.node("Mul", d, d), b.number(0.5, x))
    return b.node("Where", b.node("LessOrEqual", size, bound), parabola, line)


@writes("total_error")
def _total_error(b: Any, s: Any, x: str, y: str, *, kind: str, delta: float, mean: bool) -> Any:
    each = _error(b, s, x, y, kind=kind, delta=delta)
    return reduced(b, "ReduceMean" if mean else "ReduceSum", each, tuple(range(len(b.shapes[x]))), False)


def _batched(b: Any, x: str) -> str:
    """One example as a batch of one."""
    y = str(b.node("Unsqueeze", x, b.const([0], np.int64)))
    b.known(y, b.dtypes[x], (1, *b.shapes[x]))
    return y


@writes("nll_loss")
def _nll_loss(b: Any, s: Any, x: str, target: str, weight: Any = None, *, reduction: str, ignore_index: int) -> Any:
    if len(b.shapes[x]) < 2:
        loss = _nll_loss(
            b, s, _batched(b, x), _batched(b, target), weight, reduction=reduction, ignore_index=ignore_index
        )
        return b.node("Squeeze", loss, b.const([0], np.int64)) if reduction == "none" else loss
    return b.node("NegativeLogLikelihoodLoss", x, target, weight, reduction=reduction, ignore_index=ignore_index)


@writes("cross_entropy")
def _cross_entropy(
    b: Any,
    s: Any,
    x: str,
    target: str,
    weight: Any = None,
    *,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> Any:
    if len(b.shapes[x]) < 2:
        x, target = _batched(b, x), _batched(b, target)
        how: Any = {"label_smoothing": label_smoothing, "ignore_index": ignore_index, "reduction": reduction}
        loss = _cross_entropy(b, s, x, target, weight, **how)
        return b.node("Squeeze", loss, b.const([0], np.int64)) if reduction == "none" else loss
    if not label_smoothing:
        return b.node("SoftmaxCrossEntropyLoss", x, target, weight, reduction=reduction, ignore_index=ignore_index)
    log = b.node("LogSoftmax", x, axis=1)
    hard = b.node("NegativeLogLikelihoodLoss", log, target, weight, reduction="none", ignore_index=ignore_index)
    seen = b.node("Not", b.node("Equal", target, b.const(ignore_index, b.dtypes[target])))
    counted = b.cast(seen, b.dtypes[x])
    if weight is None:
        all_ = reduced(b, "ReduceMean", log, (1,), False)
    else:
        wide = b.node("Reshape", weight, b.const([-1, *[1] * (len(b.shapes[x]) - 2)], np.int64))
        all_ = b.node(
            "Div", reduced(b, "ReduceSum", b.node("Mul", log, wide), (1,), False), b.number(b.shapes[x][1], x)
        )
    even = b.node("Mul", b.node("Neg", all_), counted)
    if weight is not None:  # the mean is that of the weights of the targets' classes
        counted = b.node("Gather", weight, b.node("Where", seen, target, b.const(0, b.dtypes[target])), axis=0)
        counted = b.node("Where", seen, counted, b.number(0, x))
    loss = b.node(
        "Add",
        b.node("Mul", hard, b.number(1 - label_smoothing, x)),
        b.node("Mul", even, b.number(label_smoothing, x)),
    )
    if reduction == "none":
        return loss
    axes = tuple(range(len(b.shapes[target])))
    total = reduced(b, "ReduceSum", loss, axes, False)
    return total if reduction == "sum" else b.node("Div", total, reduced(b, "ReduceSum", counted, axes, False))


@writes("binary_cross_entropy")
def _binary_cross_entropy(b: Any, s: Any, x: str, y: str) -> Any:
    least, one = b.number(-100, x), b.number(1, x)
    yes = b.node("Max", b.node("Log", x), least)
    no = b.node("Max", b.node("Log", b.node("Sub", one, x)), least)
    return b.node("Sub", b.node("Mul", b.node("Sub", y, one), no), b.node("Mul", y, yes))


# --- recurrent layers -------------------------------------------------------------------------------------------------


def _reordered(b: Any, w: str, n: int, order: tuple[int, ...]) -> Any:
    """The gates of a weight or bias, n rows each, in another order, under an axis of directions."""
    if order != tuple(range(len(order))):
        parts = b.node("Split", w, b.const([n] * len(order), np.int64), outputs=len(order), axis=0)
        w = b.node("Concat", *[parts[g] for g in order], axis=0)
    return b.node("Unsqueeze", w, b.const([0], np.int64))


def _layer(
    b: Any,
    s: Any,
    kind: str,
    order: tuple[int, ...],
    a: str,
    states: list[str],
    w: str,
    bias: Any,
    how: Any,
    **more: Any,
) -> Any:
    """A direction of a layer. Its product with the input's weights came before: ONNX has that inside."""
    sizes, n = how["sizes"], b.shapes[w][1]
    batch: Any = b.shapes[states[0]][0]
    packed = None if isinstance(sizes, Varies) or all(_is(k, batch) for k in sizes) else np.asarray(sizes)
    axis = b.const([0], np.int64)
    gates = len(order) * n
    x, wx, bx = b.linear.get(a, (a, None, None))
    if wx is None:
        wx = b.const(np.eye(gates, dtype=b.dtypes[a]))
    zeros = b.const(np.zeros(gates, b.dtypes[a]))
    width = b.shapes[x][-1]
    lengths = None
    if packed is not None:  # its rows, step after step: put into (steps, batch), and taken out again below
        rows = np.cumsum(packed)[:, None] - packed[:, None] + np.arange(batch)
        inside = np.arange(batch) < packed[:, None]
        x = b.node("Gather", x, b.const(np.where(inside, rows, 0)), axis=0)
        lengths = b.const(inside.sum(0).astype(np.int32))
    else:
        x = b.node("Reshape", x, b.ints([-1, batch, width]))
    biases = b.node(
        "Concat",
        _reordered(b, zeros if bx is None else bx, n, order),
        _reordered(b, zeros if bias is None else bias, n, order),
        axis=1,
    )
    starts = [b.node("Unsqueeze", h, axis) for h in states]
    y, *last = b.node(
        kind,
        x,
        _reordered(b, wx, n, order),
        _reordered(b, w, n, order),
        biases,
        lengths,
        *starts,
        outputs=1 + len(states),
        hidden_size=n,
        direction="reverse" if how["reverse"] else "forward",
        **more,
    )
    y = b.node("Squeeze", y, b.const([1], np.int64))
    if packed is not None:
        y = b.node("Gather", b.node("Reshape", y, b.const([-1, n], np.int64)), b.const(np.flatnonzero(inside)), axis=0)
    return [b.node("Reshape", y, b.const([-1, n], np.int64)), *[b.node("Squeeze", h, axis) for h in last]]


def _is(a: Any, b: Any) -> bool:
    return a.key() == b.key() if isinstance(a, Size) and isinstance(b, Size) else a == b


@writes("lstm_layer")
def _lstm_layer(b: Any, s: Any, a: str, h: str, c: str, w: str, **how: Any) -> Any:
    return _layer(b, s, "LSTM", (0, 3, 1, 2), a, [h, c], w, None, how)


@writes("gru_layer")
def _gru_layer(b: Any, s: Any, a: str, h: str, w: str, bias: str, **how: Any) -> Any:
    return _layer(b, s, "GRU", (1, 0, 2), a, [h], w, bias, how, linear_before_reset=1)


@writes("rnn_layer")
def _rnn_layer(b: Any, s: Any, a: str, h: str, w: str, *, relu: bool, **how: Any) -> Any:
    return _layer(b, s, "RNN", (0,), a, [h], w, None, how, activations=["Relu" if relu else "Tanh"])


@writes("lstm_cell")
def _lstm_cell(b: Any, s: Any, a: str, c: str) -> Any:
    n = b.shapes[c][-1]
    i, f, g, o = b.node("Split", a, b.const([n] * 4, np.int64), outputs=4, axis=-1)
    kept = b.node("Mul", b.node("Sigmoid", f), c)
    new = b.node("Add", kept, b.node("Mul", b.node("Sigmoid", i), b.node("Tanh", g)))
    return b.node("Mul", b.node("Sigmoid", o), b.node("Tanh", new)), new


@writes("gru_cell")
def _gru_cell(b: Any, s: Any, a: str, recurrent: str, h: str) -> Any:
    n = b.shapes[h][-1]
    sizes = b.const([n] * 3, np.int64)
    ar, az, an = b.node("Split", a, sizes, outputs=3, axis=-1)
    br, bz, bn = b.node("Split", recurrent, sizes, outputs=3, axis=-1)
    r = b.node("Sigmoid", b.node("Add", ar, br))
    z = b.node("Sigmoid", b.node("Add", az, bz))
    new = b.node("Tanh", b.node("Add", an, b.node("Mul", r, bn)))
    return b.node("Add", new, b.node("Mul", z, b.node("Sub", h, new)))


@writes("embedding_bag()")
def _embedding_bag(b: Any, s: Any, *, input: Any, weight: Any, offsets: Any, mode: str, **more: Any) -> Any:
    scale, padding = more.get("per_sample_weights"), more.get("padding_idx")
    table, at, last = b.argument(weight), b.argument(input), b.const([-1], np.int64)
    rows = b.node("Gather", table, at, axis=0)
    if scale is not None:
        rows = b.node("Mul", rows, b.node("Unsqueeze", b.argument(scale), last))
    kind = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax"}[mode]
    if offsets is None and padding is None:
        return reduced(b, kind, rows, (1,), False)
    counted = None if padding is None else b.node("Not", b.node("Equal", at, b.const(padding, b.dtypes[at])))
    if offsets is not None:  # (bags, elements): which are in which bag
        start = b.node("Unsqueeze", b.cast(b.argument(offsets), np.int64), last)
        size = b.node("Shape", at)
        place = b.node("Range", b.const(0, np.int64), b.node("Squeeze", size), b.const(1, np.int64))
        end = b.node("Slice", start, b.const([1], np.int64), b.const([LAST], np.int64), b.const([0], np.int64))
        if not more.get("include_last_offset"):
            end = b.node("Concat", end, b.node("Unsqueeze", size, b.const([1], np.int64)), axis=0)
        else:
            start = b.node("Slice", start, b.const([0], np.int64), last, b.const([0], np.int64))
        inside = b.node("And", b.node("GreaterOrEqual", place, start), b.node("Less", place, end))
        counted = inside if counted is None else b.node("And", inside, counted)
        rows = b.node("Unsqueeze", rows, b.const([0], np.int64))
    chosen = b.node("Unsqueeze", counted, last)
    if mode == "max":
        most = reduced(b, kind, b.node("Where", chosen, rows, b.number(-math.inf, table)), (1,), False)
        return b.node("Where", b.node("IsInf", most), b.number(0, table), most)
    total = reduced(b, "ReduceSum", b.node("Where", chosen, rows, b.number(0, table)), (1,), False)
    if mode == "sum":
        return total
    number = reduced(b, "ReduceSum", b.cast(chosen, b.dtypes[table]), (1,), False)
    return b.node("Div", total, b.node("Max", number, b.number(1, table)))
