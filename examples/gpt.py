"""A small GPT that learns to write, character by character, from a real text; and how large GPT-2 is.

    python examples/gpt.py --picture gpt.png
    python examples/gpt.py --steps 3000 --width 128 --blocks 4 --save hamlet.safetensors      (some minutes: words)
    python examples/gpt.py --load hamlet.safetensors --prompt "ROMEO:" --temperature 0.8 --write 500

Tokens, embedding and position, blocks of causal attention and dense layers on a residual stream, unembedding, softmax
with temperature: the architecture is GPT-2's (minitensor.models.GPT2), the sizes are small.

Covers D18-mini-gpt, D17-gpt2-small and D17-gpt2-thisdog.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from common import parser, real_text

import minitensor as mt
from minitensor.learn import plot
from minitensor.models import GPT2, GPT2Config
from minitensor.models.gpt2 import Block
from minitensor.nn import functional as F
from minitensor.text import Vocabulary, cooccurrence

BITS = 1 / math.log(2)


class Characters:
    """The characters of a text as tokens."""

    def __init__(self, characters: str) -> None:
        self.vocabulary = Vocabulary(characters)

    def encode(self, text: str) -> list[int]:
        """The numbers of the characters; those that are unknown are left out."""
        return self.vocabulary.numbers(text)

    def decode(self, ids: Sequence[int]) -> str:
        """The characters with these numbers."""
        return "".join(self.vocabulary[i] for i in ids)


def bigram_bits(train: Any, held_back: Any, size: int) -> float:
    """Bits a character of the best guess from the character before alone (counts + 1), on the text held back."""
    counts = cooccurrence(train, size).double() + 1
    p = counts / counts.sum(0)
    return float(-p[held_back[1:], held_back[:-1]].log().mean() * BITS)


def batches(ids: Any, context: int, batch: int) -> tuple[Any, Any]:
    """Pieces of the text from random places, and the same a character later."""
    start = mt.randint(0, len(ids) - context, (batch, 1))
    pieces = ids[start + mt.arange(context + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def bits(model: Any, ids: Any, context: int, pieces: int = 64) -> float:
    """Mean bits a character on evenly spaced pieces of a text; each position sees what is before it in its piece."""
    model.eval()
    start = mt.linspace(0, len(ids) - context - 1, pieces).long().unsqueeze(1)
    found = ids[start + mt.arange(context + 1)]
    with mt.no_grad():
        loss = F.cross_entropy(model(found[:, :-1]).flatten(0, 1), found[:, 1:].flatten())
    model.train()
    return loss.item() * BITS


def train(model: Any, ids: Any, held_back: Any, steps: int, batch: int) -> tuple[list[float], dict[int, float]]:
    """Adam on the cross-entropy of every position; the losses in bits a character, and those on the text held back."""
    context = model.config.n_positions
    optimizer = mt.optim.Adam(model.parameters(), lr=1e-3)
    losses, seen = [], {}
    begin = time.perf_counter()
    for step in range(1, steps + 1):
        x, y = batches(ids, context, batch)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item() * BITS)
        if step == 1 or step % max(1, steps // 8) == 0:
            seen[step] = bits(model, held_back, context)
            now = f"{losses[-1]:.3f} bits a character, held back {seen[step]:.3f}"
            print(f"  step {step:>5}  {time.perf_counter() - begin:6.1f} s  {now}", flush=True)
    return losses, seen


def next_characters(
    model: Any, tokens: Characters, prompt: str, count: int = 4
) -> list[tuple[str, list[tuple[str, float]]]]:
    """D17-gpt2-thisdog: the five likeliest next characters with their shares, character by character."""
    print(f"after {prompt!r}, the five likeliest characters; the first is taken")
    result = []
    model.eval()
    for _ in range(count):
        ids = tokens.encode(prompt)[-model.config.n_positions :]
        with mt.no_grad():
            p = model(mt.tensor([ids]))[0, -1].softmax(0)
        best = [(tokens.vocabulary[int(i)], float(v)) for v, i in zip(*p.topk(5), strict=True)]
        print(f"  {prompt[-12:]!r:>16}: " + "  ".join(f"{c!r} {100 * v:.1f} %" for c, v in best))
        result.append((prompt, best))
        prompt += best[0][0]
    return result


def no_future(model: Any, ids: Any) -> bool:
    """Changing a later character changes nothing before it, bit for bit."""
    model.eval()
    x = ids[: model.config.n_positions].unsqueeze(0)
    changed = x.clone()
    cut = x.shape[1] // 2
    changed[0, cut:] = (changed[0, cut:] + 1) % model.config.vocab_size
    with mt.no_grad():
        return mt.equal(model(x)[:, :cut], model(changed)[:, :cut])


def gpt2_sizes() -> int:
    """D17-gpt2-small: the parameters of GPT-2's parts, counted on one block of the real size."""
    c = GPT2Config()
    block = Block(c)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in block.named_children()}
    rows = [("embedding, 50257 x 768, also the unembedding", c.vocab_size * c.n_embd)]
    rows += [("positions, 1024 x 768, learned", c.n_positions * c.n_embd)]
    rows += [(f"12 x {name}", c.n_layer * count) for name, count in parts.items()]
    rows += [("last norm", 2 * c.n_embd)]
    total = sum(count for _, count in rows)
    print("GPT-2, the small one:")
    for name, count in [*rows, ("in all", total)]:
        print(f"  {name:<45} {count:>12,}")
    print(f"  {4 * total / 2**20:,.0f} MB in float32; announced were 117 million parameters: {total / 117e6 - 1:+.1%}")
    return total


def draw(
    path: str, model: Any, tokens: Characters, text: str, losses: Sequence[float], seen: dict[int, float], bigram: float
) -> None:
    """The loss against the bigrams, and what each head looks at."""
    ids = tokens.encode(text)[:16]
    names = [tokens.vocabulary[i].replace("\n", "\\n").replace(" ", "_") for i in ids]
    maps = model.eval().attention(mt.tensor([ids]))
    layers, heads = len(maps), maps[0].shape[1]
    fig = plot.figure(3.6 * heads, 3.6 * (layers + bool(losses)))
    grid = fig.add_gridspec(layers + bool(losses), heads)
    if losses:
        axes = fig.add_subplot(grid[0, :])
        axes.plot(range(1, len(losses) + 1), losses, color="#56B4E9", lw=1, label="training, each batch")
        axes.plot(list(seen), list(seen.values()), "o-", color=plot.BLUE, label="text held back")
        axes.axhline(bigram, ls="--", color=plot.VERMILION, label=f"from the character before alone: {bigram:.2f}")
        axes.set(
            xlabel="step",
            ylabel="bits a character",
            ylim=(0, None),
            title=f"at the end {list(seen.values())[-1]:.2f} bits",
        )
        axes.legend(frameon=False)
    for i, layer in enumerate(maps):
        for j in range(heads):
            axes = fig.add_subplot(grid[i + bool(losses), j])
            axes.imshow(layer[0, j], cmap="Blues", vmin=0, vmax=1)
            axes.set_xticks(range(len(names)), names)
            axes.set_yticks(range(len(names)), names)
            axes.set_title(f"block {i + 1}, head {j + 1}")
    fig.savefig(path)


def main() -> None:
    """Trains, or loads; then writes."""
    options = parser(__doc__, picture=True)
    whole = {"type": int, "metavar": "N"}
    options.add_argument("--text", default="tinyshakespeare", help="a file in UTF-8 (Shakespeare's plays)")
    options.add_argument("--steps", default=1000, help="steps of training (1000)", **whole)
    options.add_argument("--batch", default=32, help="pieces of text in a step (32)", **whole)
    options.add_argument("--context", default=64, help="characters that it sees (64)", **whole)
    options.add_argument("--width", default=64, help="width of the stream (64)", **whole)
    options.add_argument("--heads", default=4, help="heads in a block (4)", **whole)
    options.add_argument("--blocks", default=2, help="blocks (2)", **whole)
    options.add_argument("--save", metavar="FILE", help="keep the weights")
    options.add_argument("--load", metavar="FILE", help="take kept weights instead of training")
    options.add_argument("--prompt", default="ROMEO:", help="what it goes on writing from (ROMEO:)")
    options.add_argument("--write", default=200, help="characters to write (200)", **whole)
    options.add_argument("--temperature", type=float, metavar="T", help="instead of 0.1, 0.5 and 1")
    options.add_argument("--top-k", type=int, metavar="K", help="choose among the K likeliest only")
    options.add_argument("--seed", default=0, help="of the weights, the pieces and the writing (0)", **whole)
    chosen = options.parse_args()
    mt.manual_seed(chosen.seed)
    losses: list[float] = []
    seen: dict[int, float] = {}
    bigram = math.nan
    text = real_text(chosen.text)
    if chosen.load:
        state = mt.load(chosen.load)
        tokens = Characters(state["characters"])
        model = GPT2(GPT2Config(**state["config"]))
        model.load_state_dict(state["model"])
    else:
        gpt2_sizes()
        tokens = Characters("".join(sorted(set(text))))
        config = {
            "vocab_size": len(tokens.vocabulary), "n_positions": chosen.context, "n_embd": chosen.width,
            "n_layer": chosen.blocks, "n_head": chosen.heads, "dropout": 0.0,
        }  # fmt: skip
        model = GPT2(GPT2Config(**config))
        ids = mt.tensor(tokens.encode(text))
        ids, held_back = ids[: len(ids) * 9 // 10], ids[len(ids) * 9 // 10 :]
        bigram = bigram_bits(ids, held_back, len(tokens.vocabulary))
        count = sum(p.numel() for p in model.parameters())
        blind = math.log2(len(tokens.vocabulary))
        print(f"{len(tokens.vocabulary)} characters, {count:,} weights; a blind guess costs {blind:.3f} bits,", end=" ")
        print(f"one from the character before {bigram:.3f}")
        losses, seen = train(model, ids, held_back, chosen.steps, chosen.batch)
        print(f"a later character changes nothing before it: {no_future(model, held_back)}")
        if chosen.save:
            mt.save(
                {"model": model.state_dict(), "config": config, "characters": "".join(tokens.vocabulary)}, chosen.save
            )
            print("kept:", chosen.save)
    next_characters(model, tokens, chosen.prompt)
    for t in (0.1, 0.5, 1.0) if chosen.temperature is None else (chosen.temperature,):
        ids = model.generate(tokens.encode(chosen.prompt), chosen.write, temperature=t, top_k=chosen.top_k)
        print(f"--- T = {t}\n{tokens.decode(ids)}")
    if chosen.picture:
        draw(chosen.picture, model, tokens, chosen.prompt + text, losses, seen, bigram)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
