"""Losses as modules: each is the function of its name, with its options kept."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .module import Module


class _Loss(Module):
    """A loss; `reduction` is "mean", "sum" or "none"."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction


class _Weighted(_Loss):
    """A loss with a weight for each class or element, kept as a buffer."""

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_Weighted):
    """-log softmax(input)[target], averaged over the batch.

    Shapes: input (N, C), (C) or (N, C, d1, ...), target the same without C, of class indices, or
    the same with C, of probabilities; weight (C).

    >>> mt.nn.CrossEntropyLoss()(mt.zeros(2, 4), mt.tensor([0, 3]))
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of logits."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_Weighted):
    """-input[target], averaged over the batch: `CrossEntropyLoss` of log-probabilities.

    >>> mt.nn.NLLLoss()(mt.tensor([[-1.0, -2.0]]), mt.tensor([1]))
    tensor(2.)
    """

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(weight, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of log-probabilities."""
        return F.nll_loss(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(_Loss):
    """The mean of (input - target)^2.

    >>> mt.nn.MSELoss()(mt.tensor([1.0, 4.0]), mt.tensor([1.0, 2.0]))
    tensor(2.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The mean of |input - target|.

    >>> mt.nn.L1Loss()(mt.tensor([1.0, 4.0]), mt.tensor([1.0, 2.0]))
    tensor(1.)
    """

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """d^2 / (2 beta) for d = |input - target| < beta, else d - beta / 2; the mean of it.

    >>> mt.nn.SmoothL1Loss()(mt.tensor([1.0, 5.0]), mt.tensor([0.0, 1.0]))
    tensor(2.)
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """d^2 / 2 for d = |input - target| < delta, else delta (d - delta / 2); the mean of it.

    >>> mt.nn.HuberLoss(delta=2.0)(mt.tensor([1.0, 5.0]), mt.tensor([0.0, 1.0]))
    tensor(3.2500)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_Weighted):
    """-(target log(input) + (1 - target) log(1 - input)), for probabilities; the mean of it.

    >>> mt.nn.BCELoss()(mt.tensor([0.5]), mt.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Weighted):
    """`BCELoss` of the sigmoid of its input, without the rounding of taking one after the other.

    >>> mt.nn.BCEWithLogitsLoss()(mt.tensor([0.0]), mt.tensor([1.0]))
    tensor(0.6931)
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(weight, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.binary_cross_entropy_with_logits(
            input,
            target,
            weight=self.weight,
            pos_weight=self.pos_weight,
            reduction=self.reduction,
        )


class KLDivLoss(_Loss):
    """target (log(target) - input), for log-probabilities `input`; the mean of it.

    `reduction="batchmean"`, the sum divided by the batch, is the divergence of the mathematics.

    >>> mt.nn.KLDivLoss(reduction="batchmean")(mt.zeros(1, 2), mt.tensor([[0.5, 0.5]]))
    tensor(-0.6931)
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
