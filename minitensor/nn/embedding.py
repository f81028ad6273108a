"""Embedding: a table of vectors, looked up by number."""

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


class Embedding(Module):
    """Row i of the weight for each number i of the input.

    Row `padding_idx`, if given, starts at 0 and gets no gradient.
    Shapes: input any, integers from 0 to num_embeddings - 1; output (*input.shape, embedding_dim);
    weight (num_embeddings, embedding_dim), which starts standard normal.
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
        super().__init__()
        if max_norm is not None or scale_grad_by_freq or sparse:
            raise ShapeError("Embedding: max_norm, scale_grad_by_freq and sparse are not available")
        self.num_embeddings = whole("Embedding", "num_embeddings", num_embeddings, 0)
        self.embedding_dim = whole("Embedding", "embedding_dim", embedding_dim, 0)
        self.padding_idx = self._place(padding_idx)
        shape = (self.num_embeddings, self.embedding_dim)
        if _weight is None:
            weight = creation.empty(shape, device=device, dtype=dtype)
            self.weight = Parameter(weight, requires_grad=not _freeze)
            self.reset_parameters()
        elif shape_of(_weight) != shape:
            raise ShapeError(f"Embedding: the weight {shape_of(_weight)} is not {shape} as the sizes say")
        else:
            self.weight = Parameter(_weight, requires_grad=not _freeze)

    def _place(self, padding_idx: int | None) -> int | None:
        n = self.num_embeddings
        if padding_idx is not None and not -n <= padding_idx < n:
            raise IndexRangeError(f"Embedding: padding_idx {padding_idx} is outside the {n} rows")
        return None if padding_idx is None else padding_idx % n

    def reset_parameters(self) -> None:
        """Draws the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
    ) -> Embedding:
        """A layer over a table that exists, (rows, columns); it is trained unless `freeze`.

        >>> layer = mt.nn.Embedding.from_pretrained(mt.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> layer(mt.tensor([1]))
        tensor([[3., 4.]])
        """
        if len(shape_of(embeddings)) != 2:
            raise ShapeError(f"from_pretrained: expected a matrix, got {shape_of(embeddings)}")
        rows, columns = shape_of(embeddings)
        return cls(rows, columns, padding_idx, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Any) -> Any:
        """`input` (*) -> (*, embedding_dim)."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """The table's sizes."""
        sizes = f"{self.num_embeddings}, {self.embedding_dim}"
        return sizes if self.padding_idx is None else f"{sizes}, padding_idx={self.padding_idx}"
