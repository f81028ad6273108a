"""GPT-2: a language model as a stream of vectors that attention and dense layers add to.

Source: A. Radford et al., "Language models are unsupervised multitask learners" (2019). The modules have the names
of the published weights (Hugging Face's), so that a checkpoint loads by its own names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from .. import nn
from ..autograd.modes import no_grad
from ..creation import arange, empty, tensor
from ..nn import functional as F
from ..nn import init
from ..ops.join import cat
from ..serialization import load, save
from ..text import sample

__all__ = ["GPT2", "Cache", "GPT2Config"]

_SIZES = {  # layers, heads, width
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}
_INPUTS_FIRST = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


@dataclass(frozen=True)
class GPT2Config:
    """The sizes; the defaults are those of the small published model, of 124,439,808 parameters.

    `n_positions` is the longest context, `n_embd` the width of the stream. `ValueError` if the heads do not divide it.
    """

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    dropout: float = 0.1
    layer_norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if min(self.vocab_size, self.n_positions, self.n_embd, self.n_head) < 1 or self.n_layer < 0:
            raise ValueError(f"GPT2Config: sizes must be positive: {self}")
        if self.n_embd % self.n_head:
            raise ValueError(f"GPT2Config: {self.n_head} heads do not divide the width {self.n_embd}")

    @classmethod
    def named(cls, name: str, **changes: Any) -> GPT2Config:
        """The sizes of `gpt2`, `gpt2-medium`, `gpt2-large` or `gpt2-xl`.

        >>> GPT2Config.named("gpt2-xl").n_layer
        48
        """
        if name not in _SIZES:
            raise ValueError(f"GPT2Config: {name!r} is none of {', '.join(_SIZES)}")
        layers, heads, width = _SIZES[name]
        return cls(**{"n_layer": layers, "n_head": heads, "n_embd": width, **changes})


class Cache:
    """The keys and values of the tokens read so far, for each layer: what generation need not compute again."""

    def __init__(self, config: GPT2Config, batch: int, like: Any) -> None:
        shape = (config.n_layer, 2, batch, config.n_head, config.n_positions, config.n_embd // config.n_head)
        self._store = empty(shape, dtype=like.dtype)
        self.length = 0

    def add(self, layer: int, k: Any, v: Any) -> tuple[Any, Any]:
        """Stores the new keys and values behind the old ones; returns all of them."""
        begin, end = self.length, self.length + k.shape[2]
        both = self._store[layer]
        both[0, :, :, begin:end] = k
        both[1, :, :, begin:end] = v
        return both[0, :, :, :end], both[1, :, :, :end]


class Attention(nn.Module):
    """Causal self-attention of several heads: (batch, length, width) to the same shape.

    With q, k, v = x Wqkv cut into heads of size r: softmax(q k^T / sqrt(r)) v, where a token sees itself and those
    before; the heads joined, times Wo.
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.heads, self.dropout = config.n_head, config.dropout
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)
        self.drop = nn.Dropout(config.dropout)

    def qkv(self, x: Any) -> tuple[Any, Any, Any]:
        """Queries, keys and values, each (batch, heads, length, r)."""
        batch, length, width = x.shape
        parts = self.c_attn(x).reshape(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return parts[0], parts[1], parts[2]

    def forward(self, x: Any, layer: int = 0, cache: Cache | None = None) -> Any:
        q, k, v = self.qkv(x)
        causal, mask = True, None
        if cache is not None and (before := cache.length):
            k, v = cache.add(layer, k, v)
            causal = False
            if x.shape[1] > 1:  # token i of the new ones sees all before, and the new ones up to itself
                mask = arange(k.shape[2]) <= arange(before, k.shape[2]).unsqueeze(1)
        elif cache is not None:
            cache.add(layer, k, v)
        p = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p, is_causal=causal)
        return self.drop(self.c_proj(found.transpose(1, 2).reshape(x.shape)))

    def weights(self, x: Any) -> Any:
        """What each token looks at: (batch, heads, length, length), rows add up to 1, zeros above the diagonal."""
        q, k, _ = self.qkv(x)
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        length = arange(x.shape[1])
        return scores.masked_fill(length > length.unsqueeze(1), -math.inf).softmax(-1)


class MLP(nn.Module):
    """The dense layers of a block: width to 4 width, GELU (the tanh formula), and back."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Any) -> Any:
        return self.drop(self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


class Block(nn.Module):
    """x + attention(norm(x)), then x + dense(norm(x))."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(self, x: Any, layer: int = 0, cache: Cache | None = None) -> Any:
        x = x + self.attn(self.ln_1(x), layer, cache)
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    """GPT-2, of the sizes of a `GPT2Config`: token numbers (batch, length) to logits (batch, length, vocabulary).

    The embedding of the tokens is also the last layer's matrix (tied). Raises `ValueError` for a text longer than the
    context, `IndexError` for a number that is no token.

    >>> import minitensor as mt
    >>> _ = mt.manual_seed(0)
    >>> model = GPT2(GPT2Config(vocab_size=65, n_positions=32, n_embd=24, n_layer=2, n_head=3))
    >>> model(mt.tensor([[1, 2, 3]])).shape
    minitensor.Size([1, 3, 65])
    >>> len(model.generate([1, 2, 3], 4))
    7
    """

    def __init__(self, config: GPT2Config | None = None) -> None:
        super().__init__()
        self.config = config = config or GPT2Config()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                init.zeros_(parameter)
            elif parameter.dim() == 2:  # what writes into the stream starts smaller: its parts add up
                scale = math.sqrt(2 * config.n_layer) if name.endswith("c_proj.weight") else 1.0
                init.normal_(parameter, std=0.02 / scale)

    def hidden(self, ids: Any, cache: Cache | None = None) -> Any:
        """The stream after the last block and norm: (batch, length, width)."""
        for x in self._stream(ids, cache):  # noqa: B007
            pass
        if cache is not None:
            cache.length += ids.shape[-1]
        return self.ln_f(x)

    def _stream(self, ids: Any, cache: Cache | None = None) -> Iterator[Any]:
        """The stream before each block, and after the last."""
        before = cache.length if cache is not None else 0
        if ids.dim() != 2 or not ids.shape[1]:
            raise ValueError(f"GPT2: takes token numbers of shape (batch, length), not {tuple(ids.shape)}")
        if (length := before + ids.shape[1]) > self.config.n_positions:
            raise ValueError(f"GPT2: {length} tokens, but the context is of {self.config.n_positions}")
        x = self.drop(self.wte(ids) + self.wpe(arange(before, length)))
        for layer, block in enumerate(self.h):
            yield x
            x = block(x, layer, cache)
        yield x

    def forward(self, ids: Any, cache: Cache | None = None) -> Any:
        return F.linear(self.hidden(ids, cache), self.wte.weight)

    def attention(self, ids: Any) -> list[Any]:
        """What each head of each layer looks at: for each layer (batch, heads, length, length)."""
        with no_grad():
            return [block.attn.weights(block.ln_1(x)) for block, x in zip(self.h, self._stream(ids), strict=False)]

    def generate(
        self,
        ids: Any,
        count: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        generator: Any = None,
        stop: int | None = None,
        cached: bool = True,
    ) -> Any:
        """Writes `count` tokens behind the given ones; ends early at the token `stop` (for one text, a list).

        `ids` is a list of numbers (a list comes back) or a tensor (batch, length). With `cached` each step computes the
        new token only; beyond the context, and without, the last `n_positions` tokens are read anew for each.
        Dropout is off meanwhile. See `minitensor.text.sample` for the options.
        """
        if count < 0:
            raise ValueError(f"GPT2.generate: {count} tokens, but there can't be fewer than 0")
        one = not hasattr(ids, "shape")
        out = tensor([list(ids)]) if one else ids
        mode, limit = self.training, self.config.n_positions
        self.eval()
        try:
            with no_grad():
                cache = Cache(self.config, len(out), self.wte.weight) if cached and out.shape[1] <= limit else None
                fresh = out
                for _ in range(count):
                    if cache is None or cache.length + fresh.shape[1] > limit:
                        cache, fresh = None, out[:, -limit:]
                    logits = F.linear(self.hidden(fresh, cache)[:, -1], self.wte.weight)
                    fresh = sample(logits, temperature, top_k, top_p, generator).unsqueeze(1)
                    out = cat([out, fresh], 1)
                    if one and stop is not None and fresh.item() == stop:
                        break
        finally:
            self.train(mode)
        return out[0].tolist() if one else out

    @classmethod
    def load(cls, path: str | PathLike[str], **changes: Any) -> GPT2:
        """A model with the weights of a safetensors file in Hugging Face's names; its sizes follow from theirs.

        A leading `transformer.`, the stored masks (`attn.bias`, `attn.masked_bias`) and the tied `lm_head.weight` are
        understood. The number of heads is the published one for the width, or `n_head=` says it.
        Raises `ValueError` if tensors are missing or too many.
        """
        weights = load(path)
        found = {name.removeprefix("transformer."): value for name, value in weights.items()}
        found = {
            name: value
            for name, value in found.items()
            if not name.endswith((".attn.bias", ".attn.masked_bias")) and name != "lm_head.weight"
        }
        if "wte.weight" not in found or "wpe.weight" not in found:
            raise ValueError(f"GPT2.load: {path} holds no wte.weight and wpe.weight, so it is no GPT-2")
        (vocabulary, width), positions = found["wte.weight"].shape, found["wpe.weight"].shape[0]
        layers = len({name.split(".")[1] for name in found if name.startswith("h.")})
        heads = changes.pop("n_head", None) or next((n for _, n, w in _SIZES.values() if w == width), None)
        if heads is None:
            raise ValueError(f"GPT2.load: no published model is {width} wide: how many heads has it? n_head=...")
        model = cls(GPT2Config(vocabulary, positions, width, layers, heads, **changes))
        model.load_state_dict(_turned(found))
        return model

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the weights as a safetensors file with Hugging Face's names and layouts."""
        save(dict(_turned(self.state_dict())), path)


def _turned(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Published dense layers hold (inputs, outputs), ours (outputs, inputs): either from the other."""
    return {n: w.t().contiguous() if n.endswith(_INPUTS_FIRST) else w for n, w in weights.items()}
