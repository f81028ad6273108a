"""The functions that layers are made of, under PyTorch's names.

Each is an operator of `minitensor.ops`. Here are only the names, and what PyTorch adds to some of
them: writing into the input (`inplace`), and an axis that is chosen if none is given.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph.tensors import wrap
from ..methods import in_place
from ..ops import activation, functions
from ..ops import dropout as dropouts
from ..ops import softmax as softmaxes
from ..ops.activation import gelu, glu, hardshrink, prelu, softplus, softshrink, softsign, tanhshrink
from ..ops.adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from ..ops.arithmetic import add, div, sub
from ..ops.attention import multi_head_attention_forward, scaled_dot_product_attention
from ..ops.batch_norm import batch_norm
from ..ops.common import need_float, raw, shape_of
from ..ops.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.cross_entropy import cross_entropy, nll_loss
from ..ops.ctc import ctc_loss
from ..ops.distance import cosine_similarity, normalize, pairwise_distance, pdist
from ..ops.einsum import bilinear
from ..ops.embedding import embedding, embedding_bag, one_hot
from ..ops.fractional import (
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
)
from ..ops.functions import sigmoid, tanh
from ..ops.grid import affine_grid, grid_sample
from ..ops.group_norm import group_norm, instance_norm
from ..ops.image import (
    channel_shuffle,
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from ..ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    logsigmoid,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from ..ops.margin import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ..ops.matmul import linear
from ..ops.norm import layer_norm, local_response_norm, rms_norm
from ..ops.pad import pad
from ..ops.pool import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from ..ops.shape import flatten, squeeze, unflatten, unsqueeze
from ..ops.unfold import fold, unfold
from ..random import exponential_
from ..tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "affine_grid",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "celu_",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "flatten",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "grid_sample",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "mse_loss",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "native_channel_shuffle",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "scaled_dot_product_attention",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unflatten",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

relu_ = in_place(functions.relu)
native_channel_shuffle = channel_shuffle


def _with_indices(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pool that always gives its maxima's places too."""

    @functools.wraps(function)
    def pool(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.arguments["return_indices"] = True
        return function(*given.args, **given.kwargs)

    signature = inspect.signature(function)
    pool.__name__ = pool.__qualname__ = f"{function.__name__}_with_indices"
    pool.__doc__ = f"(the maxima, their places): `{function.__name__}` with return_indices."
    return pool


max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)
celu_ = in_place(activation.celu)
elu_ = in_place(activation.elu)
_hardsigmoid_ = in_place(activation.hardsigmoid)
_hardswish_ = in_place(activation.hardswish)
hardtanh_ = in_place(activation.hardtanh)
leaky_relu_ = in_place(activation.leaky_relu)
_mish_ = in_place(activation.mish)
_relu6_ = in_place(activation.relu6)
rrelu_ = in_place(activation.rrelu)
selu_ = in_place(activation.selu)
_silu_ = in_place(activation.silu)
threshold_ = in_place(activation.threshold)
_dropout_ = in_place(dropouts.dropout)
_feature_dropout_ = in_place(dropouts.feature_dropout)
_alpha_dropout_ = in_place(dropouts.alpha_dropout)
_feature_alpha_dropout_ = in_place(dropouts.feature_alpha_dropout)


def relu(input: Any, inplace: bool = False) -> Any:
    """max(input, 0); see `minitensor.relu`."""
    return relu_(input) if inplace else functions.relu(input)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """`elu` with a continuous derivative for every alpha; see `minitensor.celu`."""
    return (celu_ if inplace else activation.celu)(input, alpha)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where it is positive, else alpha (e^x - 1)."""
    return (elu_ if inplace else activation.elu)(input, alpha)


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """A sigmoid made of lines: min(max(x + 3, 0), 6) / 6."""
    return (_hardsigmoid_ if inplace else activation.hardsigmoid)(input)


def hardswish(input: Any, inplace: bool = False) -> Any:
    """x min(max(x + 3, 0), 6) / 6."""
    return (_hardswish_ if inplace else activation.hardswish)(input)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """x clamped to [min_val, max_val], with gradient 0 at the ends too."""
    return (hardtanh_ if inplace else activation.hardtanh)(input, min_val, max_val)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x where it is positive, else negative_slope x."""
    return (leaky_relu_ if inplace else activation.leaky_relu)(input, negative_slope)


def mish(input: Any, inplace: bool = False) -> Any:
    """x tanh(softplus(x))."""
    return (_mish_ if inplace else activation.mish)(input)


def relu6(input: Any, inplace: bool = False) -> Any:
    """x clamped to [0, 6]."""
    return (_relu6_ if inplace else activation.relu6)(input)


def rrelu(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> Any:
    """`leaky_relu` with random slopes; see `minitensor.rrelu`."""
    return (rrelu_ if inplace else activation.rrelu)(input, lower, upper, training)


def selu(input: Any, inplace: bool = False) -> Any:
    """`elu` scaled so that mean 0 and variance 1 are kept; see `minitensor.selu`."""
    return (selu_ if inplace else activation.selu)(input)


def silu(input: Any, inplace: bool = False) -> Any:
    """x sigmoid(x)."""
    return (_silu_ if inplace else activation.silu)(input)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """x where it is above the threshold, else the value."""
    return (threshold_ if inplace else activation.threshold)(input, threshold, value)


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Sets each element to 0 with probability p, and divides the others by 1 - p."""
    return (_dropout_ if inplace else dropouts.dropout)(input, p, training)


def _unbatched(name: str, input: Any, axes: int, run: Any) -> Any:
    """`run` on (N, C, *), or on one (C, *) as a batch of one; * has so many axes."""
    ndim = len(shape_of(input))
    if ndim not in (axes + 1, axes + 2):
        raise ShapeError(f"{name}: expected {axes + 1} or {axes + 2} axes, got {shape_of(input)}")
    return squeeze(run(unsqueeze(input, 0)), 0) if ndim == axes + 1 else run(input)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """As `dropout`, for whole channels: input (N, C, L) or (C, L)."""
    run = _feature_dropout_ if inplace else dropouts.feature_dropout
    return _unbatched("dropout1d", input, 1, lambda x: run(x, p, training))


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """As `dropout`, for whole channels: input (N, C, H, W), or (N, C, L)."""
    return (_feature_dropout_ if inplace else dropouts.feature_dropout)(input, p, training)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """As `dropout`, for whole channels: input (N, C, D, H, W) or (C, D, H, W)."""
    run = _feature_dropout_ if inplace else dropouts.feature_dropout
    return _unbatched("dropout3d", input, 3, lambda x: run(x, p, training))


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Dropout that keeps mean and variance under selu; see `minitensor.alpha_dropout`."""
    return (_alpha_dropout_ if inplace else dropouts.alpha_dropout)(input, p, training)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """As `alpha_dropout`, for whole channels: input (N, C, *)."""
    return (_feature_alpha_dropout_ if inplace else dropouts.feature_alpha_dropout)(input, p, training)


def _axis(name: str, input: Any, dim: int | None) -> int:
    """The axis that PyTorch takes if none is given, with its warning."""
    if dim is not None:
        return dim
    ndim = len(shape_of(input))
    chosen = 0 if ndim in (0, 1, 3) else 1
    warnings.warn(f"{name}: no dim is given; taken is dim={chosen} of {ndim} axes", stacklevel=3)
    return chosen


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """exp(x_i) / sum_j exp(x_j) along `dim`; see `minitensor.softmax`."""
    return softmaxes.softmax(input, _axis("softmax", input, dim), dtype)


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """`softmax` of the negative."""
    return softmaxes.softmin(input, _axis("softmin", input, dim), dtype)


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """The logarithm of `softmax`; see `minitensor.log_softmax`."""
    return softmaxes.log_softmax(input, _axis("log_softmax", input, dim), dtype)


def gumbel_softmax(logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Any:
    r"""A random choice along `dim` that passes gradients. E. Jang, S. Gu, B. Poole, 2017.

        forward    y = softmax((x - ln e) / tau), e exponential;  with `hard` a 1 at the largest y, 0 elsewhere
        backward   as softmax; with `hard` too

    `eps` is not used. Raises ShapeError for tau <= 0.

    >>> sorted(mt.nn.functional.gumbel_softmax(mt.zeros(3), hard=True).tolist())
    [0.0, 0.0, 1.0]
    """
    need_float("gumbel_softmax", logits)
    if not tau > 0:
        raise ShapeError(f"gumbel_softmax: tau must be positive, got {tau}")
    x = raw(logits)
    drawn = exponential_(wrap(np.empty_like(x)))
    soft = softmaxes.softmax(div(sub(logits, functions.log(drawn)), tau), dim)
    if not hard:
        return soft
    y = raw(soft)
    chosen = np.zeros_like(y)
    if y.size:
        np.put_along_axis(chosen, np.expand_dims(y.argmax(dim), dim), 1, dim)
    return add(sub(chosen, soft.detach() if isinstance(soft, Tensor) else soft), soft)
