"""BERT: a text as a stream of vectors, each of which sees all others; and sentences as vectors.

Source: J. Devlin et al., "BERT: Pre-training of deep bidirectional transformers" (2018); N. Reimers, I. Gurevych,
"Sentence-BERT" (2019). The modules have the names of the published weights (Hugging Face's), so that a checkpoint loads
by its own names: BERT's, MiniLM's, and those of sentence embeddings made from them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from .. import nn
from ..autograd import no_grad
from ..creation import arange, zeros_like
from ..nn import functional as F
from ..nn import init
from ..ops.join import cat
from ..serialization import load
from ..text import WordPiece

__all__ = ["Bert", "BertConfig", "SentenceEncoder"]

_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.pt")


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The sizes, by the names of the published `config.json`; the defaults are those of BERT base, 109 million numbers.

    `ValueError` if the heads do not divide the width, or for an activation other than GELU and ReLU.
    """

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(f"BertConfig: {self.num_attention_heads} heads do not divide the width {self.hidden_size}")
        if self.hidden_act not in _ACTIVATIONS:
            raise ValueError(f"BertConfig: the activation {self.hidden_act!r} is none of {', '.join(_ACTIVATIONS)}")

    @classmethod
    def read(cls, path: str | PathLike[str]) -> BertConfig:
        """The sizes in a `config.json`; what else it says is passed over."""
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found.get("model_type", "bert") != "bert":
            raise ValueError(f"BertConfig: {path} is of a {found['model_type']}, not of a bert")
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in found.items() if name in names})


_ACTIVATIONS: dict[str, Any] = {
    "gelu": F.gelu,
    "relu": F.relu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
}


class _Embeddings(nn.Module):
    """The sum of a vector for the token, one for its place and one for its part of the text, normed."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, ids: Any, token_type_ids: Any) -> Any:
        x = self.word_embeddings(ids) + self.token_type_embeddings(token_type_ids)
        return self.dropout(self.LayerNorm(x + self.position_embeddings(arange(ids.shape[1]))))


class _Heads(nn.Module):
    """softmax(q k^T / sqrt(r)) v for each head of size r; a token sees all those that the mask leaves."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads, self.p = config.num_attention_heads, config.attention_probs_dropout_prob
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Any, mask: Any) -> Any:
        batch, length, width = x.shape
        q, k, v = [
            layer(x).reshape(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        ]
        p = self.p if self.training else 0.0
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        return found.transpose(1, 2).reshape(batch, length, width)


class _Added(nn.Module):
    """norm(x + dense(y)): how both parts of a layer write into the stream."""

    def __init__(self, config: BertConfig, inner: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, y: Any, x: Any) -> Any:
        return self.LayerNorm(self.dropout(self.dense(y)) + x)


class _Attention(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self = _Heads(config)
        self.output = _Added(config, config.hidden_size)

    def forward(self, x: Any, mask: Any) -> Any:
        return self.output(self.self(x, mask), x)


class _Intermediate(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.act = config.hidden_act

    def forward(self, x: Any) -> Any:
        return _ACTIVATIONS[self.act](self.dense(x))


class _Layer(nn.Module):
    """norm(x + attention(x)), then norm(x + dense(activation(dense(x))))."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.attention = _Attention(config)
        self.intermediate = _Intermediate(config)
        self.output = _Added(config, config.intermediate_size)

    def forward(self, x: Any, mask: Any) -> Any:
        x = self.attention(x, mask)
        return self.output(self.intermediate(x), x)


class _Encoder(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, x: Any, mask: Any) -> Any:
        for layer in self.layer:
            x = layer(x, mask)
        return x


class _Pooler(nn.Module):
    """tanh(dense(x)) of the first token."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Any) -> Any:
        return self.dense(x[:, 0]).tanh()


class Bert(nn.Module):
    """BERT, of the sizes of a `BertConfig`: token numbers (batch, length) to vectors (batch, length, width).

    Returns the vectors, and tanh of a dense layer of each text's first, (batch, width). `attention_mask`
    (batch, length) is 0 at tokens that only fill up. Raises `ValueError` for a text longer than the positions.

    >>> import minitensor as mt
    >>> _ = mt.manual_seed(0)
    >>> model = Bert(BertConfig(vocab_size=50, hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
    ...                         intermediate_size=24)).eval()
    >>> vectors, pooled = model(mt.tensor([[1, 2, 3]]))
    >>> tuple(vectors.shape), tuple(pooled.shape)
    ((1, 3, 12), (1, 12))
    """

    def __init__(self, config: BertConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or BertConfig()
        self.embeddings = _Embeddings(config)
        self.encoder = _Encoder(config)
        self.pooler = _Pooler(config)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                init.zeros_(parameter)
            elif parameter.dim() == 2:
                init.normal_(parameter, std=config.initializer_range)

    def forward(self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None) -> tuple[Any, Any]:
        if input_ids.dim() != 2 or not input_ids.shape[1]:
            raise ValueError(f"Bert: takes token numbers of shape (batch, length), not {tuple(input_ids.shape)}")
        if input_ids.shape[1] > self.config.max_position_embeddings:
            limit = self.config.max_position_embeddings
            raise ValueError(f"Bert: {input_ids.shape[1]} tokens, but there are {limit} positions")
        mask = None if attention_mask is None else (attention_mask != 0)[:, None, None, :]
        parts = zeros_like(input_ids) if token_type_ids is None else token_type_ids
        x = self.encoder(self.embeddings(input_ids, parts), mask)
        return x, self.pooler(x)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Bert:
        """A model in evaluation, of the sizes in the folder's `config.json`, with the weights beside it.

        These are `model.safetensors` or PyTorch's `pytorch_model.bin`, in Hugging Face's names, with or without a
        leading `bert.`; heads for other tasks are passed over, a pooler that is missing starts at random.
        Raises FileNotFoundError, and `ValueError` where other weights are missing.
        """
        folder = Path(folder)
        path = next((folder / name for name in _WEIGHTS if (folder / name).exists()), None)
        if path is None:
            raise FileNotFoundError(f"Bert.load: {folder} has none of {', '.join(_WEIGHTS)}")
        model = cls(BertConfig.read(folder / "config.json"))
        found = {name.removeprefix("bert."): value for name, value in load(path).items()}
        old = {"gamma": "weight", "beta": "bias"}  # of norms, in the first published files
        renamed = {".".join(old.get(part, part) for part in name.split(".")): x for name, x in found.items()}
        missing = model.load_state_dict(renamed, strict=False).missing_keys
        missing = [name for name in missing if not name.startswith("pooler.")]
        if missing:
            raise ValueError(f"Bert.load: {path} lacks {', '.join(missing[:3])}{' and others' if missing[3:] else ''}")
        return model.eval()


class SentenceEncoder(nn.Module):
    """Sentences as vectors of length 1: the mean of BERT's vectors over the tokens of each.

    The nearer two sentences in meaning, the larger the product of their vectors.
    """

    def __init__(self, bert: Bert, tokenizer: WordPiece, max_length: int = 256) -> None:
        super().__init__()
        self.bert, self.tokenizer, self.max_length = bert, tokenizer, max_length
        self.train(bert.training)

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        weights = attention_mask.unsqueeze(-1).float()
        vectors = self.bert(input_ids, attention_mask)[0]
        mean = (vectors * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return F.normalize(mean, p=2, dim=1)

    def encode(self, texts: Sequence[str], batch_size: int = 32) -> Any:
        """The vectors of texts, (number of texts, width), outside the graph; longer texts are cut."""
        if isinstance(texts, str):
            raise TypeError("SentenceEncoder.encode: takes a list of texts, not one")
        mode = self.training
        self.eval()
        try:
            with no_grad():
                parts = [
                    self(*self.tokenizer.batch(texts[i : i + batch_size], self.max_length))
                    for i in range(0, len(texts), batch_size)
                ]
        finally:
            self.train(mode)
        if not parts:
            return self.bert.embeddings.word_embeddings.weight.detach()[:0]
        return cat(parts)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> SentenceEncoder:
        """A model from a folder as sentence-transformers writes it: `config.json`, weights, `vocab.txt`."""
        folder = Path(folder)
        longest = 256
        if (folder / "sentence_bert_config.json").exists():
            said = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
            longest = said.get("max_seq_length") or longest
        lower = True
        if (folder / "tokenizer_config.json").exists():
            lower = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get(
                "do_lower_case", True
            )
        return cls(Bert.load(folder), WordPiece.load(folder / "vocab.txt", lower=lower), longest)
