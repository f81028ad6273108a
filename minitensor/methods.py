"""The methods of a tensor that are the functions of the same name, and how a function becomes one that writes.

A method that is not just a function stands in tensor.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import random
from .errors import DtypeError
from .graph import tensors, views
from .ops import (
    activation,
    arithmetic,
    bitwise,
    comparison,
    counting,
    decomposition,
    determinant,
    distance,
    functions,
    gamma,
    indexing,
    join,
    masks,
    moments,
    order,
    rearrange,
    reduce,
    rounding,
    scan,
    special,
    trigonometry,
)
from .ops import diagonal as diagonal_
from .ops import einsum as einsum_
from .ops import linalg as linalg_
from .ops import matmul as matmul_
from .ops import scatter as scatter_ops
from .ops import scatter_reduce as reducing
from .ops import shape as shapes
from .ops import softmax as softmax_
from .ops import solve as solve_
from .ops import strided as strided_
from .ops.common import writer


def in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method `x.f_(...)` of a function `f(x, ...)`: the result is written into the memory of x, in the graph.

    A value that the backward needs is kept as a copy. Raises GraphError for a leaf that requires gradients, ShapeError
    if the result has another shape, DtypeError if it cannot be cast to the dtype of x.
    """
    name = function.__name__ + "_"
    write = writer(function.__name__)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        views.write(name, self, function, args, kwargs, write)
        return self

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"`{function.__name__}` in place: writes the result into this tensor and returns it."
    return method


def need_tensor(name: str, input: Any) -> None:
    """Raises DtypeError for what is no tensor, an ndarray too."""
    if not isinstance(input, tensors.Tensor):
        raise DtypeError(f"{name}: expected a tensor, got {type(input).__name__} {input!r:.40}")


def become(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method `x.f_(...)` of a function `f(x, ...)` that gives a view: x itself becomes that view of its memory."""
    name = function.__name__ + "_"

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        views.become(name, self, lambda x: function(x, *args, **kwargs))
        return self

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = f"`{function.__name__}` in place: this tensor itself takes the result's shape."
    return method


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        return function(other, self)

    return method


def _or_never(function: Callable[..., Any]) -> Callable[..., Any]:
    """An operator that leaves what is no number, as None, to Python: such things are not equal."""

    def method(self: Any, other: Any) -> Any:
        number = isinstance(other, (tensors.Tensor, int, float, np.ndarray, np.generic, complex))
        return function(self, other) if number else NotImplemented

    return method


class Methods(tensors.Tensor):
    """What the class of tensors gets from the families of operators."""

    # --- indexing -----------------------------------------------------------------------------------------------------

    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem
    argwhere = masks.argwhere
    gather = scatter_ops.gather
    index_add = scatter_ops.index_add
    index_copy = scatter_ops.index_copy
    index_fill = scatter_ops.index_fill
    index_put = scatter_ops.index_put
    index_reduce = reducing.index_reduce
    index_select = scatter_ops.index_select
    masked_fill = masks.masked_fill
    masked_scatter = masks.masked_scatter
    masked_select = masks.masked_select
    nonzero = masks.nonzero
    nonzero_static = masks.nonzero_static
    put = scatter_ops.put
    scatter = scatter_ops.scatter
    scatter_add = scatter_ops.scatter_add
    scatter_reduce = reducing.scatter_reduce
    take = scatter_ops.take
    take_along_dim = scatter_ops.take_along_dim

    # --- arithmetic ---------------------------------------------------------------------------------------------------

    add = __add__ = __radd__ = arithmetic.add
    sub = subtract = __sub__ = arithmetic.sub
    __rsub__ = arithmetic.rsub
    mul = multiply = __mul__ = __rmul__ = arithmetic.mul
    div = divide = true_divide = __truediv__ = arithmetic.div
    __rtruediv__ = _reflected(arithmetic.over)
    floor_divide = __floordiv__ = arithmetic.floor_divide
    __rfloordiv__ = _reflected(arithmetic.floor_divide)
    addcmul = arithmetic.addcmul
    addcdiv = arithmetic.addcdiv
    lerp = arithmetic.lerp
    positive = arithmetic.positive
    remainder = __mod__ = arithmetic.remainder
    __rmod__ = _reflected(arithmetic.remainder)
    fmod = arithmetic.fmod
    neg = negative = __neg__ = arithmetic.neg
    reciprocal = arithmetic.reciprocal
    square = arithmetic.square
    pow = __pow__ = functions.pow
    __rpow__ = _reflected(functions.pow)
    float_power = functions.float_power
    bitwise_and = __and__ = __rand__ = bitwise.bitwise_and
    bitwise_or = __or__ = __ror__ = bitwise.bitwise_or
    bitwise_xor = __xor__ = __rxor__ = bitwise.bitwise_xor
    bitwise_not = __invert__ = bitwise.bitwise_not
    bitwise_left_shift = __lshift__ = bitwise.bitwise_left_shift
    __rlshift__ = _reflected(bitwise.bitwise_left_shift)
    bitwise_right_shift = __rshift__ = bitwise.bitwise_right_shift
    __rrshift__ = _reflected(bitwise.bitwise_right_shift)
    gcd = bitwise.gcd
    lcm = bitwise.lcm
    matmul = __matmul__ = matmul_.matmul
    __rmatmul__ = _reflected(matmul_.matmul)
    mm = matmul_.mm
    bmm = matmul_.bmm
    mv = matmul_.mv
    dot = matmul_.dot
    vdot = matmul_.vdot
    inner = matmul_.inner
    outer = ger = matmul_.outer
    addmm = matmul_.addmm
    addmv = matmul_.addmv
    addr = matmul_.addr
    addbmm = matmul_.addbmm
    baddbmm = matmul_.baddbmm
    kron = einsum_.kron
    cross = linalg_.cross
    matrix_exp = linalg_.matrix_exp
    matrix_power = linalg_.matrix_power
    pinverse = linalg_.pinverse
    cov = linalg_.cov
    corrcoef = linalg_.corrcoef
    qr = decomposition.qr
    svd = decomposition.svd
    renorm = distance.renorm
    det = determinant.det
    logdet = determinant.logdet
    slogdet = determinant.old_slogdet
    inverse = solve_.inv
    cholesky = solve_.cholesky
    cholesky_inverse = solve_.cholesky_inverse
    cholesky_solve = solve_.cholesky_solve
    lu_solve = solve_.lu_solve
    triangular_solve = solve_.triangular_solve

    # --- functions ----------------------------------------------------------------------------------------------------

    abs = absolute = __abs__ = functions.abs
    sign, sgn = functions.sign, functions.sgn
    exp = functions.exp
    expm1 = functions.expm1
    exp2 = functions.exp2
    log = functions.log
    log1p = functions.log1p
    log2 = functions.log2
    log10 = functions.log10
    logaddexp = functions.logaddexp
    logaddexp2 = functions.logaddexp2
    sqrt = functions.sqrt
    rsqrt = functions.rsqrt
    tanh = functions.tanh
    sigmoid = functions.sigmoid
    relu = functions.relu
    sin = trigonometry.sin
    cos = trigonometry.cos
    tan = trigonometry.tan
    asin = arcsin = trigonometry.asin
    acos = arccos = trigonometry.acos
    atan = arctan = trigonometry.atan
    sinh = trigonometry.sinh
    cosh = trigonometry.cosh
    asinh = arcsinh = trigonometry.asinh
    acosh = arccosh = trigonometry.acosh
    atanh = arctanh = trigonometry.atanh
    atan2 = arctan2 = trigonometry.atan2
    hypot = trigonometry.hypot
    angle = trigonometry.angle
    deg2rad = trigonometry.deg2rad
    rad2deg = trigonometry.rad2deg
    sinc = trigonometry.sinc
    floor = rounding.floor
    ceil = rounding.ceil
    trunc = fix = rounding.trunc
    round = rounding.round
    frac = rounding.frac
    signbit = rounding.signbit
    copysign = rounding.copysign
    frexp = rounding.frexp
    ldexp = rounding.ldexp
    nextafter = rounding.nextafter
    nan_to_num = rounding.nan_to_num
    erf = special.erf
    erfc = special.erfc
    erfinv = special.erfinv
    logit = special.logit
    xlogy = special.xlogy
    i0 = special.i0
    lgamma = gamma.lgamma
    digamma = gamma.digamma
    igamma = gamma.igamma
    igammac = gamma.igammac
    mvlgamma = gamma.mvlgamma
    prelu = activation.prelu
    hardshrink = activation.hardshrink
    softmax = softmax_.softmax
    log_softmax = softmax_.log_softmax

    # --- comparisons --------------------------------------------------------------------------------------------------

    eq = comparison.eq
    ne = not_equal = comparison.ne
    __eq__ = _or_never(comparison.eq)
    __ne__ = _or_never(comparison.ne)
    lt = less = __lt__ = comparison.lt
    le = less_equal = __le__ = comparison.le
    gt = greater = __gt__ = comparison.gt
    ge = greater_equal = __ge__ = comparison.ge
    logical_and = comparison.logical_and
    logical_or = comparison.logical_or
    logical_xor = comparison.logical_xor
    logical_not = comparison.logical_not
    isnan = comparison.isnan
    isinf = comparison.isinf
    isfinite = comparison.isfinite
    isposinf = comparison.isposinf
    isneginf = comparison.isneginf
    isreal = comparison.isreal
    isclose = comparison.isclose
    allclose = comparison.allclose
    equal = comparison.equal
    heaviside = comparison.heaviside
    fmax = comparison.fmax
    fmin = comparison.fmin
    maximum = comparison.maximum
    minimum = comparison.minimum
    clamp = clip = comparison.clamp
    clamp_min = comparison.clamp_min
    clamp_max = comparison.clamp_max

    # --- reductions ---------------------------------------------------------------------------------------------------

    sum = reduce.sum
    nansum = reduce.nansum
    sum_to_size = reduce.sum_to_size
    mean = reduce.mean
    nanmean = reduce.nanmean
    prod = reduce.prod
    max = reduce.max
    min = reduce.min
    amax = reduce.amax
    amin = reduce.amin
    aminmax = reduce.aminmax
    argmax = reduce.argmax
    argmin = reduce.argmin
    any = reduce.any
    all = reduce.all
    count_nonzero = reduce.count_nonzero
    var = moments.var
    std = moments.std
    norm = moments.norm
    dist = moments.dist
    logsumexp = moments.logsumexp
    cumsum = scan.cumsum
    cumprod = scan.cumprod
    cummax = scan.cummax
    cummin = scan.cummin
    logcumsumexp = scan.logcumsumexp
    diff = scan.diff
    sort = order.sort
    argsort = order.argsort
    msort = order.msort
    topk = order.topk
    kthvalue = order.kthvalue
    median = order.median
    nanmedian = order.nanmedian
    mode = order.mode
    quantile = order.quantile
    nanquantile = order.nanquantile
    unique = counting.unique
    unique_consecutive = counting.unique_consecutive
    bincount = counting.bincount
    histc = counting.histc
    histogram = counting.histogram

    # --- shapes -------------------------------------------------------------------------------------------------------

    reshape = shapes.reshape
    reshape_as = shapes.reshape_as
    ravel = shapes.ravel
    view = shapes.view
    view_as = shapes.view_as
    flatten = shapes.flatten
    unflatten = shapes.unflatten
    squeeze = shapes.squeeze
    unsqueeze = shapes.unsqueeze
    permute = shapes.permute
    transpose = shapes.transpose
    movedim = moveaxis = shapes.movedim
    t = shapes.t
    expand = shapes.expand
    unbind = join.unbind

    def split(self, split_size: Any, dim: int = 0) -> Any:
        """Blocks of a size, or of the given sizes, along an axis, as views; see `minitensor.split`."""
        return join.split(self, split_size, dim)

    chunk = join.chunk
    narrow = join.narrow
    clone = shapes.clone
    contiguous = shapes.contiguous
    flip = shapes.flip
    expand_as = rearrange.expand_as
    broadcast_to = rearrange.broadcast_to
    select = rearrange.select
    split_with_sizes = rearrange.split_with_sizes
    unsafe_split = rearrange.unsafe_split
    unsafe_split_with_sizes = rearrange.split_with_sizes
    narrow_copy = rearrange.narrow_copy
    unsafe_chunk = rearrange.unsafe_chunk
    tensor_split = rearrange.tensor_split
    hsplit = rearrange.hsplit
    vsplit = rearrange.vsplit
    dsplit = rearrange.dsplit
    swapaxes = rearrange.swapaxes
    swapdims = rearrange.swapdims
    adjoint = rearrange.adjoint
    roll = rearrange.roll
    fliplr = rearrange.fliplr
    flipud = rearrange.flipud
    rot90 = rearrange.rot90
    repeat = rearrange.repeat
    tile = rearrange.tile
    repeat_interleave = rearrange.repeat_interleave
    diagonal = diagonal_.diagonal
    diagonal_scatter = diagonal_.diagonal_scatter
    diag_embed = diagonal_.diag_embed
    diag = diagonal_.diag
    diagflat = diagonal_.diagflat
    trace = diagonal_.trace
    tril = diagonal_.tril
    triu = diagonal_.triu
    fill_diagonal_ = diagonal_.fill_diagonal_
    unfold = strided_.unfold
    as_strided = strided_.as_strided
    as_strided_scatter = strided_.as_strided_scatter
    select_scatter = strided_.select_scatter
    slice_scatter = strided_.slice_scatter

    # --- writing ------------------------------------------------------------------------------------------------------

    add_ = __iadd__ = in_place(arithmetic.add)
    sub_ = subtract_ = __isub__ = in_place(arithmetic.sub)
    mul_ = multiply_ = __imul__ = in_place(arithmetic.mul)
    div_ = divide_ = true_divide_ = __itruediv__ = in_place(arithmetic.div)
    floor_divide_ = __ifloordiv__ = in_place(arithmetic.floor_divide)
    remainder_ = __imod__ = in_place(arithmetic.remainder)
    fmod_ = in_place(arithmetic.fmod)
    addcmul_ = in_place(arithmetic.addcmul)
    addcdiv_ = in_place(arithmetic.addcdiv)
    lerp_ = in_place(arithmetic.lerp)
    neg_ = negative_ = in_place(arithmetic.neg)
    reciprocal_ = in_place(arithmetic.reciprocal)
    square_ = in_place(arithmetic.square)
    pow_ = __ipow__ = in_place(functions.pow)
    renorm_ = in_place(distance.renorm)
    addmm_ = in_place(matmul_.addmm)
    addmv_ = in_place(matmul_.addmv)
    addr_ = in_place(matmul_.addr)
    addbmm_ = in_place(matmul_.addbmm)
    baddbmm_ = in_place(matmul_.baddbmm)
    float_power_ = in_place(functions.float_power)
    abs_ = absolute_ = in_place(functions.abs)
    sign_, sgn_ = in_place(functions.sign), in_place(functions.sgn)
    exp_ = in_place(functions.exp)
    expm1_ = in_place(functions.expm1)
    exp2_ = in_place(functions.exp2)
    log_ = in_place(functions.log)
    log1p_ = in_place(functions.log1p)
    log2_ = in_place(functions.log2)
    log10_ = in_place(functions.log10)
    sqrt_ = in_place(functions.sqrt)
    rsqrt_ = in_place(functions.rsqrt)
    tanh_ = in_place(functions.tanh)
    sigmoid_ = in_place(functions.sigmoid)
    relu_ = in_place(functions.relu)
    sin_ = in_place(trigonometry.sin)
    cos_ = in_place(trigonometry.cos)
    tan_ = in_place(trigonometry.tan)
    asin_ = arcsin_ = in_place(trigonometry.asin)
    acos_ = arccos_ = in_place(trigonometry.acos)
    atan_ = arctan_ = in_place(trigonometry.atan)
    sinh_ = in_place(trigonometry.sinh)
    cosh_ = in_place(trigonometry.cosh)
    asinh_ = arcsinh_ = in_place(trigonometry.asinh)
    acosh_ = arccosh_ = in_place(trigonometry.acosh)
    atanh_ = arctanh_ = in_place(trigonometry.atanh)
    atan2_ = arctan2_ = in_place(trigonometry.atan2)
    hypot_ = in_place(trigonometry.hypot)
    deg2rad_ = in_place(trigonometry.deg2rad)
    rad2deg_ = in_place(trigonometry.rad2deg)
    sinc_ = in_place(trigonometry.sinc)
    floor_ = in_place(rounding.floor)
    ceil_ = in_place(rounding.ceil)
    trunc_ = fix_ = in_place(rounding.trunc)
    round_ = in_place(rounding.round)
    frac_ = in_place(rounding.frac)
    copysign_ = in_place(rounding.copysign)
    ldexp_ = in_place(rounding.ldexp)
    nextafter_ = in_place(rounding.nextafter)
    nan_to_num_ = in_place(rounding.nan_to_num)
    erf_ = in_place(special.erf)
    erfc_ = in_place(special.erfc)
    erfinv_ = in_place(special.erfinv)
    logit_ = in_place(special.logit)
    xlogy_ = in_place(special.xlogy)
    i0_ = in_place(special.i0)
    lgamma_ = in_place(gamma.lgamma)
    digamma_ = in_place(gamma.digamma)
    igamma_ = in_place(gamma.igamma)
    igammac_ = in_place(gamma.igammac)
    mvlgamma_ = in_place(gamma.mvlgamma)
    bitwise_and_ = __iand__ = in_place(bitwise.bitwise_and)
    bitwise_or_ = __ior__ = in_place(bitwise.bitwise_or)
    bitwise_xor_ = __ixor__ = in_place(bitwise.bitwise_xor)
    bitwise_not_ = in_place(bitwise.bitwise_not)
    bitwise_left_shift_ = __ilshift__ = in_place(bitwise.bitwise_left_shift)
    bitwise_right_shift_ = __irshift__ = in_place(bitwise.bitwise_right_shift)
    gcd_ = in_place(bitwise.gcd)
    lcm_ = in_place(bitwise.lcm)
    eq_ = in_place(comparison.eq)
    ne_ = not_equal_ = in_place(comparison.ne)
    lt_ = less_ = in_place(comparison.lt)
    le_ = less_equal_ = in_place(comparison.le)
    gt_ = greater_ = in_place(comparison.gt)
    ge_ = greater_equal_ = in_place(comparison.ge)
    logical_and_ = in_place(comparison.logical_and)
    logical_or_ = in_place(comparison.logical_or)
    logical_xor_ = in_place(comparison.logical_xor)
    logical_not_ = in_place(comparison.logical_not)
    heaviside_ = in_place(comparison.heaviside)
    clamp_ = clip_ = in_place(comparison.clamp)
    clamp_min_ = in_place(comparison.clamp_min)
    clamp_max_ = in_place(comparison.clamp_max)

    scatter_ = in_place(scatter_ops.scatter)
    scatter_add_ = in_place(scatter_ops.scatter_add)
    scatter_reduce_ = in_place(reducing.scatter_reduce)
    index_add_ = in_place(scatter_ops.index_add)
    index_copy_ = in_place(scatter_ops.index_copy)
    fill_ = indexing.fill_
    zero_ = indexing.zero_
    index_fill_ = in_place(scatter_ops.index_fill)
    index_put_ = in_place(scatter_ops.index_put)
    index_reduce_ = in_place(reducing.index_reduce)
    masked_fill_ = in_place(masks.masked_fill)
    masked_scatter_ = in_place(masks.masked_scatter)
    put_ = in_place(scatter_ops.put)
    tril_ = in_place(diagonal_.tril)
    triu_ = in_place(diagonal_.triu)

    squeeze_ = become(shapes.squeeze)
    unsqueeze_ = become(shapes.unsqueeze)
    t_ = become(shapes.t)
    transpose_ = become(shapes.transpose)
    swapaxes_ = become(rearrange.swapaxes)
    swapdims_ = become(rearrange.swapdims)
    as_strided_ = become(strided_.as_strided)

    cumsum_ = in_place(scan.cumsum)
    cumprod_ = in_place(scan.cumprod)

    normal_ = random.normal_
    uniform_ = random.uniform_
    bernoulli_ = random.bernoulli_
    exponential_ = random.exponential_
    random_ = random.random_
    cauchy_ = random.cauchy_
    log_normal_ = random.log_normal_
    geometric_ = random.geometric_
    bernoulli = random.bernoulli
    multinomial = random.multinomial
