"""Losses as modules: each is the function of its name, with its options kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..errors import ShapeError
from ..ops.loss import reduction_of
from . import functional as F
from .module import Module


class _Loss(Module):
    """A loss; `reduction` is "mean", "sum" or "none"; size_average and reduce are PyTorch's older switches for it."""

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction_of(self._get_name(), size_average, reduce, reduction)


class _Weighted(_Loss):
    """A loss with a weight for each class or element, kept as a buffer."""

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
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
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
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

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
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


class NLLLoss2d(NLLLoss):
    """`NLLLoss` by its old name, with a FutureWarning: `NLLLoss` takes images too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn("NLLLoss2d is deprecated; use NLLLoss, which takes images too", FutureWarning, stacklevel=2)
        super().__init__(*args, **kwargs)


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

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
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
        super().__init__(reduction=reduction)
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

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        pos_weight: Any = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
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

    def __init__(
        self,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        by_batch = reduction == "batchmean"
        super().__init__(size_average, reduce, "sum" if by_batch else reduction)
        self.reduction = reduction if by_batch else self.reduction
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """exp(input) - target * input, for counts `target` and the logarithm of their rate; the mean of it.

    >>> mt.nn.PoissonNLLLoss()(mt.tensor([0.0]), mt.tensor([3.0]))
    tensor(1.)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Any = None,
        eps: float = 1e-8,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Any, target: Any) -> Any:
        """The loss of rates (or their logarithms) and counts."""
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """(log(var) + (input - target)^2 / var) / 2, for means and variances; the mean of it.

    >>> mt.nn.GaussianNLLLoss()(mt.tensor([1.0]), mt.tensor([3.0]), mt.tensor([1.0]))
    tensor(2.)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        """The loss of means, targets and variances."""
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """The input where the target is 1, max(0, margin - input) where it is -1; the mean of it.

    >>> mt.nn.HingeEmbeddingLoss()(mt.tensor([0.5, 0.5]), mt.tensor([1, -1]))
    tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of distances and targets -1 or 1."""
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """max(0, margin - target * (input1 - input2)); the mean of it.

    >>> mt.nn.MarginRankingLoss()(mt.tensor([3.0, 1.0]), mt.tensor([2.0, 2.0]), mt.tensor([1, 1]))
    tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss of two rankings and targets -1 or 1."""
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target * input)), for targets -1 and 1; the mean of it.

    >>> mt.nn.SoftMarginLoss()(mt.tensor([0.0]), mt.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """1 - cos(input1, input2) where the target is 1, max(0, cos - margin) where it is -1; the mean of it.

    >>> x, y = mt.tensor([[1.0, 0.0]]), mt.tensor([[0.0, 1.0]])
    >>> mt.nn.CosineEmbeddingLoss()(x, y, mt.tensor([1]))
    tensor(1.)
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss of inputs (N, D) and targets (N)."""
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiMarginLoss(_Weighted):
    """What the target's class lacks to lead all others by the margin; the mean of it.

    >>> mt.nn.MultiMarginLoss()(mt.tensor([[0.5, 1.0, 1.0]]), mt.tensor([2]))
    tensor(0.5000)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ShapeError(f"MultiMarginLoss: p must be 1 or 2, not {p}")
        self.p = p
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of input (N, C) and class indices (N)."""
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class MultiLabelMarginLoss(_Loss):
    """What each class of a set lacks to lead all outside of it by 1; the mean of it.

    >>> mt.nn.MultiLabelMarginLoss()(mt.tensor([[0.1, 0.2, 0.4, 0.8]]), mt.tensor([[3, 0, -1, 1]]))
    tensor(0.8500)
    """

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of input (N, C) and sets of classes (N, C), each ended by -1."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_Weighted):
    """The binary cross-entropy of logits, averaged over the classes; the mean of it.

    >>> mt.nn.MultiLabelSoftMarginLoss()(mt.tensor([[0.0, 0.0]]), mt.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """

    def forward(self, input: Any, target: Any) -> Any:
        """The loss of two tensors of one shape."""
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, margin + |anchor - positive| - |anchor - negative|) with the norm p; the mean of it.

    >>> x, y, z = mt.tensor([[0.0, 0.0]]), mt.tensor([[0.0, 3.0]]), mt.tensor([[0.0, 3.5]])
    >>> mt.nn.TripletMarginLoss()(x, y, z)
    tensor(0.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ShapeError(f"TripletMarginLoss: margin must be above 0, but it is {margin}")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss of three tensors (N, D)."""
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """`TripletMarginLoss` with any distance of two tensors.

    >>> x, y, z = mt.tensor([[0.0, 0.0]]), mt.tensor([[0.0, 3.0]]), mt.tensor([[0.0, 3.5]])
    >>> mt.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: (a - b).abs().sum(-1))(x, y, z)
    tensor(0.5000)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ShapeError(f"TripletMarginWithDistanceLoss: margin must be above 0, but it is {margin}")
        self.distance_function = distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """The loss of three tensors (N, ...)."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class CTCLoss(_Loss):
    """-log of the probability of a sequence of labels over all ways to place them in time; the mean of it.

    >>> x = mt.full((2, 1, 2), 0.5).log()
    >>> mt.nn.CTCLoss()(x, mt.tensor([[1]]), mt.tensor([2]), mt.tensor([1]))
    tensor(0.2877)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any) -> Any:
        """The loss of log-probabilities (T, N, C) and labels (N, S)."""
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )
