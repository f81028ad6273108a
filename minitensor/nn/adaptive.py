"""The adaptive softmax: frequent classes by a softmax of their own, rare ones in clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..errors import DtypeError, IndexRangeError, ShapeError
from ..ops.arithmetic import add, neg
from ..ops.common import array_of, shape_of
from ..ops.comparison import where
from ..ops.join import cat, narrow
from ..ops.masks import nonzero
from ..ops.reduce import argmax, mean
from ..ops.scatter import gather, index_add
from ..ops.shape import reshape, unsqueeze
from . import functional as F
from .containers import ModuleList, Sequential
from .linear import Linear
from .module import Module


class _ASMoutput(NamedTuple):
    output: Any
    loss: Any


class AdaptiveLogSoftmaxWithLoss(Module):
    """The logarithm of a softmax over very many classes, ordered from the most frequent to the rarest.

        log p(c | x) = head(x)_c                             for a class c below cutoffs[0],
                       head(x)_cluster + tail(x)_c           for one of a cluster cutoffs[i] to cutoffs[i + 1]

    where head and tail are log-softmaxes of linear maps; that of cluster i goes by way of in_features /
    div_value^(i + 1) dimensions. Only the clusters that a target is in are computed.

    Shapes: input (N, in_features), target (N), or (in_features) and (). Gives (output, loss): the targets' logarithms
    and minus their mean. Raises ShapeError for other shapes and for cutoffs that do not ascend between 1 and
    n_classes - 1, IndexRangeError for targets beyond the classes.
    Source: E. Grave et al., "Efficient softmax approximation for GPUs" (2017).

    >>> m = mt.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[4, 10])
    >>> m(mt.zeros(2, 8), mt.tensor([0, 5])).output.detach()
    tensor([-1.7918, -3.5835])
    """

    head: Linear
    tail: ModuleList

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        ends = list(cutoffs)
        if not ends or ends != sorted(set(ends)) or ends[0] < 1 or ends[-1] >= n_classes:
            raise ShapeError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs {ends} must ascend between 1 and n_classes - 1 = {n_classes - 1}"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*ends, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = ends[0]
        self.n_clusters = len(ends)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            inner = int(in_features // div_value ** (i + 1))
            size = self.cutoffs[i + 1] - self.cutoffs[i]
            down = Linear(in_features, inner, bias=False, device=device, dtype=dtype)
            self.tail.append(Sequential(down, Linear(inner, size, bias=False, device=device, dtype=dtype)))

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        self.head.reset_parameters()
        for projection in self.tail:
            for layer in projection:
                layer.reset_parameters()

    def forward(self, input: Any, target: Any) -> _ASMoutput:
        """`input` (N, in_features) and class indices (N) -> the targets' log-probabilities (N), their loss ()."""
        x_shape, t_shape = shape_of(input), shape_of(target)
        if len(t_shape) > 1 or len(x_shape) != len(t_shape) + 1 or x_shape[:-1] != t_shape:
            raise ShapeError(
                f"AdaptiveLogSoftmaxWithLoss: input {x_shape} and target {t_shape} are not (N, in_features) and (N), "
                "or (in_features) and ()"
            )
        if not t_shape:
            output, loss = self.forward(unsqueeze(input, 0), unsqueeze(target, 0))
            return _ASMoutput(reshape(output, ()), loss)
        classes = array_of(target)
        if classes.dtype.kind not in "iu":
            raise DtypeError(f"AdaptiveLogSoftmaxWithLoss: expected class indices, got {classes.dtype}")
        if classes.size and not 0 <= classes.min() <= classes.max() < self.n_classes:
            raise IndexRangeError(
                f"AdaptiveLogSoftmaxWithLoss: targets from {classes.min()} to {classes.max()}, "
                f"but the classes are 0 to {self.n_classes - 1}"
            )
        place = target  # among the outputs of the head
        for i in range(self.n_clusters):
            place = where(target >= self.cutoffs[i], self.shortlist_size + i, place)
        output = gather(F.log_softmax(self.head(input), 1), 1, unsqueeze(place.long(), 1)).squeeze(1)
        for i in range(self.n_clusters):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            rows = nonzero((target >= low) & (target < high)).squeeze(1)
            if shape_of(rows)[0]:
                within = F.log_softmax(self.tail[i](input[rows]), 1)
                chosen = gather(within, 1, unsqueeze(target[rows].long() - low, 1)).squeeze(1)
                output = index_add(output, 0, rows, chosen)
        return _ASMoutput(output, mean(neg(output)))

    def log_prob(self, input: Any) -> Any:
        """The log-probabilities of all classes: `input` (N, in_features) -> (N, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        parts = [narrow(head, 1, 0, self.shortlist_size)]
        for i, projection in enumerate(self.tail):
            within = F.log_softmax(projection(input), 1)
            parts.append(add(within, narrow(head, 1, self.shortlist_size + i, 1)))
        return cat(parts, 1)

    def predict(self, input: Any) -> Any:
        """The likeliest class of each row: `input` (N, in_features) -> (N).

        As in PyTorch, rows whose likeliest output of the head is a class of its own do not look into the clusters.
        """
        best = argmax(self.head(input), 1)
        rows = nonzero(best >= self.shortlist_size).squeeze(1)
        if shape_of(rows)[0]:
            best[rows] = argmax(self.log_prob(input[rows]), 1)
        return best
