"""Published networks, with their own sizes and the names of their published weights."""

from .bert import Bert, BertConfig, SentenceEncoder
from .gpt2 import GPT2, GPT2Config

__all__ = ["GPT2", "Bert", "BertConfig", "GPT2Config", "SentenceEncoder"]
