"""Embedding: a table of vectors, looked up by number, one by one or in bags."""

from __future__ import annotations

from typing import Any

from .. import creation
from ..autograd import no_grad
from ..errors import IndexRangeError, ShapeError
from ..ops.common import shape_of
from . import functional as F
from . import init
from .linear import whole
from .module import Module
from .parameter import Parameter


class _Table(Module):
    """A table of vectors, one of which may stand for no number."""

    weight: Parameter

    max_norm: float | None = None

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        _weight: Any,
        _freeze: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = self._get_name()
        self.num_embeddings = whole(name, "num_embeddings", num_embeddings, 0)
        self.embedding_dim = whole(name, "embedding_dim", embedding_dim, 0)
        self.padding_idx = self._place(padding_idx)
        shape = (self.num_embeddings, self.embedding_dim)
        if _weight is None:
            weight = creation.empty(shape, device=device, dtype=dtype)
            self.weight = Parameter(weight, requires_grad=not _freeze)
            self.reset_parameters()
        elif shape_of(_weight) != shape:
            raise ShapeError(f"{name}: the weight {shape_of(_weight)} is not {shape} as the sizes say")
        else:
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def _place(self, padding_idx: int | None) -> int | None:
        n = self.num_embeddings
        if padding_idx is not None and not -n <= padding_idx < n:
            raise IndexRangeError(f"{self._get_name()}: padding_idx {padding_idx} is outside the {n} rows")
        return None if padding_idx is None else padding_idx % n

    def reset_parameters(self) -> None:
        """Draws the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    def extra_repr(self) -> str:
        """The table's sizes and the options."""
        said = f"{self.num_embeddings}, {self.embedding_dim}"
        said += "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return said + ("" if self.max_norm is None else f", max_norm={self.max_norm}")


def _matrix(embeddings: Any) -> tuple[int, int]:
    shape = shape_of(embeddings)
    if len(shape) != 2:
        raise ShapeError(f"from_pretrained: expected a matrix, got {shape}")
    return shape[0], shape[1]


class Embedding(_Table):
    """Row i of the weight for each number i of the input.

    Row `padding_idx`, if given, starts at 0 and gets no gradient.
    Shapes: input any, integers from 0 to num_embeddings - 1; output (*input.shape, embedding_dim);
    weight (num_embeddings, embedding_dim), which starts standard normal. With `max_norm`, rows that are looked up and
    longer are scaled down to it in the weight itself.
    Raises IndexError for a number outside the table.

    >>> layer = mt.nn.Embedding(10, 3, padding_idx=0)
    >>> layer(mt.tensor([[1, 2], [0, 5]])).shape
    minitensor.Size([2, 2, 3])
    >>> layer(mt.tensor([0])).detach()
    tensor([[0., 0., 0.]])
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Any = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, _freeze, device, dtype)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer over a table that exists, (rows, columns); it is trained unless `freeze`.

        >>> layer = mt.nn.Embedding.from_pretrained(mt.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> layer(mt.tensor([1]))
        tensor([[3., 4.]])
        """
        rows, columns = _matrix(embeddings)
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        return cls(rows, columns, *options, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Any) -> Any:
        """`input` (*) -> (*, embedding_dim)."""
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the rows of each bag of numbers, without the rows in between.

    Shapes: input (bags, size), or a vector with offsets (bags), where each bag begins; output (bags, embedding_dim);
    weight (num_embeddings, embedding_dim), which starts standard normal. Numbers equal to `padding_idx` do not count.

    >>> layer = mt.nn.EmbeddingBag.from_pretrained(mt.tensor([[1.0, 2.0], [3.0, 4.0]]), mode="sum")
    >>> layer(mt.tensor([0, 1, 1]), mt.tensor([0, 2]))
    tensor([[4., 6.],
            [3., 4.]])
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, False, device, dtype)
        if mode not in ("sum", "mean", "max"):
            raise ShapeError(f"EmbeddingBag: mode {mode!r} is none of 'sum', 'mean' and 'max'")
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer over a table that exists, (rows, columns); it is trained unless `freeze`."""
        rows, columns = _matrix(embeddings)
        options = (max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx)
        layer = cls(rows, columns, *options)
        layer.weight.requires_grad = not freeze
        return layer

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        """`input` (bags, size), or a vector and offsets (bags), -> (bags, embedding_dim)."""
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        """The table's sizes and the options."""
        return f"{super().extra_repr()}, mode={self.mode!r}"
