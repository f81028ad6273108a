"""Special functions, under the names of `torch.special`; all but a few are operators of `minitensor.ops`.

>>> mt.special.expit(mt.tensor([0.0]))
tensor([0.5000])
"""

from __future__ import annotations

from typing import Any

from .ops import softmax as softmaxes
from .ops.functions import exp2, expm1, log1p
from .ops.functions import sigmoid as expit
from .ops.gamma import digamma, polygamma, psi, zeta
from .ops.gamma import igamma as gammainc
from .ops.gamma import igammac as gammaincc
from .ops.gamma import lgamma as gammaln
from .ops.gamma import mvlgamma as multigammaln
from .ops.moments import logsumexp
from .ops.rounding import round
from .ops.special import (
    entr,
    erf,
    erfc,
    erfcx,
    erfinv,
    i0,
    i0e,
    i1,
    i1e,
    log_ndtr,
    logit,
    ndtr,
    ndtri,
    xlog1py,
    xlogy,
)
from .ops.trigonometry import sinc

__all__ = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gammainc",
    "gammaincc",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
    "zeta",
]


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """exp(x_i) / sum_j exp(x_j) along `dim`; see `minitensor.softmax`.

    >>> mt.special.softmax(mt.zeros(2), 0)
    tensor([0.5000, 0.5000])
    """
    return softmaxes.softmax(input, dim, dtype)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The logarithm of `softmax`; see `minitensor.log_softmax`.

    >>> mt.special.log_softmax(mt.zeros(2), 0)
    tensor([-0.6931, -0.6931])
    """
    return softmaxes.log_softmax(input, dim, dtype)
