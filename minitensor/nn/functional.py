"""The functions that layers are made of, under PyTorch's names.

Each is an operator of `minitensor.ops`. Here are only the names, and what PyTorch adds to some of
them: writing into the input (`inplace`), and an axis that is chosen if none is given.
"""

from __future__ import annotations

import warnings
from typing import Any

from ..errors import ShapeError
from ..ops import dropout as dropouts
from ..ops import functions
from ..ops import softmax as softmaxes
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
from ..ops.attention import multi_head_attention_forward, scaled_dot_product_attention
from ..ops.common import shape_of
from ..ops.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.cross_entropy import cross_entropy, nll_loss
from ..ops.ctc import ctc_loss
from ..ops.distance import cosine_similarity, normalize, pairwise_distance, pdist
from ..ops.einsum import bilinear
from ..ops.embedding import embedding, embedding_bag, one_hot
from ..ops.functions import gelu, sigmoid, softplus, tanh
from ..ops.grid import affine_grid, grid_sample
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
from ..ops.norm import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from ..ops.pad import pad
from ..ops.pool import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from ..ops.shape import flatten, squeeze, unflatten, unsqueeze
from ..ops.unfold import fold, unfold
from ..tensor import in_place

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "affine_grid",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
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
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "flatten",
    "fold",
    "gaussian_nll_loss",
    "gelu",
    "grid_sample",
    "group_norm",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mse_loss",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "relu",
    "relu_",
    "rms_norm",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "tanh",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unflatten",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

relu_ = in_place(functions.relu)
_silu_ = in_place(functions.silu)
_leaky_relu_ = in_place(functions.leaky_relu)
_dropout_ = in_place(dropouts.dropout)
_feature_dropout_ = in_place(dropouts.feature_dropout)
_alpha_dropout_ = in_place(dropouts.alpha_dropout)
_feature_alpha_dropout_ = in_place(dropouts.feature_alpha_dropout)


def relu(input: Any, inplace: bool = False) -> Any:
    """max(input, 0); see `minitensor.relu`."""
    return relu_(input) if inplace else functions.relu(input)


def silu(input: Any, inplace: bool = False) -> Any:
    """input * sigmoid(input)."""
    return _silu_(input) if inplace else functions.silu(input)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """input where it is positive, else negative_slope * input."""
    run = _leaky_relu_ if inplace else functions.leaky_relu
    return run(input, negative_slope)


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
