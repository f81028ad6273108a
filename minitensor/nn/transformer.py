"""Transformers: layers of attention and of two linear maps, each added to its input and normalised.

Source of all: A. Vaswani et al., "Attention is all you need" (2017); of `norm_first`: R. Xiong et al., "On layer
normalization in the transformer architecture" (2020).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import creation
from ..errors import ShapeError
from ..ops.common import shape_of
from . import functional as F
from . import init
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .norm import LayerNorm

Activation = str | Callable[[Any], Any]


def _activation(given: Activation) -> Callable[[Any], Any]:
    known: dict[str, Callable[[Any], Any]] = {"relu": F.relu, "gelu": F.gelu}
    if not isinstance(given, str):
        return given
    if given not in known:
        raise ShapeError(f"a transformer's activation is 'relu', 'gelu' or a function, not {given!r}")
    return known[given]


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


class _Layer(Module):
    """What the encoder's and the decoder's layers share: the feed-forward part, and how a part is added."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        where = {"device": device, "dtype": dtype}
        for name in self._attentions:
            setattr(
                self,
                name,
                MultiheadAttention(d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, **where),
            )
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **where)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **where)
        self.norm_first = norm_first
        parts = range(1, len(self._attentions) + 2)
        for i in parts:
            setattr(self, f"norm{i}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where))
        for i in parts:
            setattr(self, f"dropout{i}", Dropout(dropout))
        self.activation = _activation(activation)

    _attentions: tuple[str, ...]

    def _added(self, x: Any, part: Callable[[Any], Any], norm: Any, dropout: Any) -> Any:
        """x and what a part makes of it; normalised before the part or after."""
        return x + dropout(part(norm(x))) if self.norm_first else norm(x + dropout(part(x)))

    def _feed_forward(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear maps with an activation between them.

        x = norm1(x + attention(x)),  x = norm2(x + W2 activation(W1 x))
        with norm_first: x = x + attention(norm1(x)),  x = x + W2 activation(W1 norm2(x))

    Dropout follows the attention, the activation and each part. Shapes: (S, N, d_model), or (N, S, d_model) if
    `batch_first`, or without N. `activation` is "relu", "gelu" or a function.

    >>> layer = mt.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
    >>> layer(mt.zeros(5, 3, 8)).shape
    minitensor.Size([5, 3, 8])
    """

    _attentions = ("self_attn",)

    def forward(
        self,
        src: Any,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:
        """Keeps the shape; the masks are those of `MultiheadAttention`."""

        def attend(x: Any) -> Any:
            y, _ = self.self_attn(
                x,
                x,
                x,
                attn_mask=src_mask,
                key_padding_mask=src_key_padding_mask,
                need_weights=False,
                is_causal=is_causal,
            )
            return y

        x = self._added(src, attend, self.norm1, self.dropout1)
        return self._added(x, self._feed_forward, self.norm2, self.dropout2)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's output, then two linear maps with an activation between them.

    As `TransformerEncoderLayer`, with one part more. Shapes: tgt (T, N, d_model), memory (S, N, d_model), or with N
    first if `batch_first`, or without it.

    >>> layer = mt.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> layer(mt.zeros(4, 3, 8), mt.zeros(5, 3, 8)).shape
    minitensor.Size([4, 3, 8])
    """

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        """Keeps the shape of tgt; the masks are those of `MultiheadAttention`."""

        def attend(x: Any) -> Any:
            y, _ = self.self_attn(
                x,
                x,
                x,
                attn_mask=tgt_mask,
                key_padding_mask=tgt_key_padding_mask,
                need_weights=False,
                is_causal=tgt_is_causal,
            )
            return y

        def look(x: Any) -> Any:
            y, _ = self.multihead_attn(
                x,
                memory,
                memory,
                attn_mask=memory_mask,
                key_padding_mask=memory_key_padding_mask,
                need_weights=False,
                is_causal=memory_is_causal,
            )
            return y

        x = self._added(tgt, attend, self.norm1, self.dropout1)
        x = self._added(x, look, self.norm2, self.dropout2)
        return self._added(x, self._feed_forward, self.norm3, self.dropout3)


class TransformerEncoder(Module):
    """`num_layers` copies of a layer, one after the other, and a norm at the end if one is given.

    The copies start with equal parameters. `enable_nested_tensor` and `mask_check` are accepted and mean nothing.

    >>> layer = mt.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)
    >>> mt.nn.TransformerEncoder(layer, 3)(mt.zeros(5, 3, 8)).shape
    minitensor.Size([5, 3, 8])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Any,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool | None = None,
    ) -> Any:
        """Keeps the shape; every layer gets the same masks."""
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """`num_layers` copies of a layer, one after the other, and a norm at the end if one is given.

    >>> layer = mt.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> mt.nn.TransformerDecoder(layer, 3)(mt.zeros(4, 3, 8), mt.zeros(5, 3, 8)).shape
    minitensor.Size([4, 3, 8])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        """Keeps the shape of tgt; every layer gets the same memory and masks."""
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
            )
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder of the source, and a decoder of the target that attends to the encoder's output.

    Every parameter of more than one axis starts Xavier uniform. Shapes: src (S, N, d_model), tgt (T, N, d_model), or
    with N first if `batch_first`, or without it; output as tgt. Raises ShapeError where these do not fit.

    >>> net = mt.nn.Transformer(8, 2, 1, 1, dim_feedforward=16)
    >>> net(mt.zeros(5, 3, 8), mt.zeros(4, 3, 8)).shape
    minitensor.Size([4, 3, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        where = {"device": device, "dtype": dtype}
        how = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **where)

        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(*how, **where)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        self.encoder = custom_encoder
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*how, **where)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        """Draws every parameter of more than one axis anew."""
        for p in self.parameters():
            if p.dim() > 1:
                init.xavier_uniform_(p)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
        """The causal mask (sz, sz) to add to the scores: 0 up to the diagonal, -inf above it.

        >>> mt.nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return creation.tensor(np.triu(np.full((sz, sz), -np.inf), 1).tolist(), device=device, dtype=dtype)

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        """Keeps the shape of tgt; the masks are those of `MultiheadAttention`."""
        a, b = shape_of(src), shape_of(tgt)
        batch = 0 if self.batch_first else 1
        if len(a) != len(b) or len(a) not in (2, 3) or (len(a) == 3 and a[batch] != b[batch]):
            raise ShapeError(f"Transformer: src {a} and tgt {b} must have as many axes each and the same batch")
        if a[-1] != self.d_model or b[-1] != self.d_model:
            raise ShapeError(f"Transformer: the last sizes of src {a} and tgt {b} must be d_model {self.d_model}")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
