"""Attention of several heads."""

from __future__ import annotations

from typing import Any

from .. import creation
from ..errors import ShapeError
from ..ops.common import shape_of
from ..ops.shape import transpose
from . import functional as F
from . import init
from .linear import NonDynamicallyQuantizableLinear, whole
from .module import Module
from .parameter import Parameter


class MultiheadAttention(Module):
    """Attention whose queries, keys and values are projected, and cut into heads that attend each by itself.

    Shapes: query (L, N, embed_dim), key (S, N, kdim), value (S, N, vdim), with the batch N first if `batch_first`, or
    without it; output as the query; weights (N, L, S), the mean over the heads, or (N, heads, L, S).
    Masks of bools are True where a key is hidden; others are added to the scores: key_padding_mask (N, S), attn_mask
    (L, S) or (N heads, L, S). Parameters: in_proj_weight (3 embed_dim, embed_dim), which starts Xavier uniform, or
    q_proj_weight, k_proj_weight, v_proj_weight where kdim or vdim differ; in_proj_bias; out_proj.
    Source: A. Vaswani et al., "Attention is all you need" (2017).

    >>> layer = mt.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = mt.zeros(5, 3, 8)
    >>> y, weights = layer(x, x, x)
    >>> y.shape, weights.shape
    (minitensor.Size([5, 3, 8]), minitensor.Size([5, 3, 3]))
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.embed_dim = whole("MultiheadAttention", "embed_dim", embed_dim)
        self.num_heads = whole("MultiheadAttention", "num_heads", num_heads)
        self.kdim = self.embed_dim if kdim is None else whole("MultiheadAttention", "kdim", kdim)
        self.vdim = self.embed_dim if vdim is None else whole("MultiheadAttention", "vdim", vdim)
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = self.embed_dim // self.num_heads
        if self.head_dim * self.num_heads != self.embed_dim:
            raise ShapeError(
                f"MultiheadAttention: embed_dim {self.embed_dim} cannot be divided into {self.num_heads} heads"
            )
        e = self.embed_dim

        def empty(*shape: int) -> Parameter:
            return Parameter(creation.empty(shape, device=device, dtype=dtype))

        one = self.kdim == self.vdim == e
        self.register_parameter("in_proj_weight", empty(3 * e, e) if one else None)
        self.register_parameter("q_proj_weight", None if one else empty(e, e))
        self.register_parameter("k_proj_weight", None if one else empty(e, self.kdim))
        self.register_parameter("v_proj_weight", None if one else empty(e, self.vdim))
        self.register_parameter("in_proj_bias", empty(3 * e) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(e, e, bias=bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", empty(1, 1, e) if add_bias_kv else None)
        self.register_parameter("bias_v", empty(1, 1, e) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draws the projections of the inputs anew, and sets the biases to 0."""
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """(output, weights or None), as the class says. `is_causal` tells that attn_mask is the causal one."""
        turned = self.batch_first and len(shape_of(query)) == 3
        if turned:
            q, k, v = query, key, value
            query = transpose(q, 0, 1)
            key = query if k is q else transpose(k, 0, 1)
            value = key if v is k else transpose(v, 0, 1)
        y, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=self.in_proj_weight is None,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (transpose(y, 0, 1) if turned else y), weights
