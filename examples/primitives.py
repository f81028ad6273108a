"""Every differentiable operator of the engine: its rules in both modes, and whether they hold.

    python examples/primitives.py
    python examples/primitives.py --all      (all in a list, not only the worst)

A primitive has a JVP, J v, and a VJP, J^T u; they belong together if <u, J v> = <J^T u, v>, and they are right if J v
is the limit of difference quotients. Each is tried on its own examples (the samples of its row in the table).

Covers DP-primitives.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from common import parser, table

import minitensor as mt
from minitensor import soft
from minitensor.func import jvp, vjp
from minitensor.graph import record
from minitensor.op import OPS, Op, Sample

STEP = 1e-6


def places(op: Op, sample: Sample) -> list[int]:
    """The arguments that have a derivative."""
    rule = lambda i: op.rules[0 if op.variadic else i]  # noqa: E731
    return [i for i, a in enumerate(sample.args) if isinstance(a, np.ndarray) and a.dtype.kind == "f" and rule(i)]


def check(op: Op, sample: Sample) -> tuple[int, float, float] | None:
    """Derivatives taken, how far the two modes are apart, how far J v is from the difference quotient (relative)."""
    at = places(op, sample)
    if not at:
        return None
    args = [mt.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in sample.args]

    def f(*chosen: Any) -> tuple[Any, ...]:
        given = list(args)
        for i, x in zip(at, chosen, strict=True):
            given[i] = x
        out = record.apply(op, *given, **sample.params)
        return tuple(y for y in (out if isinstance(out, tuple) else (out,)) if y.is_floating_point())

    xs = tuple(args[i] for i in at)
    vs = tuple(mt.randn(x.shape, dtype=x.dtype) for x in xs)
    values, forward = jvp(f, xs, vs)
    if not values:
        return None
    us = tuple(mt.randn(y.shape, dtype=y.dtype) for y in values)
    backward = vjp(f, *xs)[1](us)
    a = sum((u * t).sum().item() for u, t in zip(us, forward, strict=True))
    b = sum((g * v).sum().item() for g, v in zip(backward, vs, strict=True))
    if sample.derive is not None:  # arguments that depend on each other are not moved apart
        return len(at), abs(a - b) / (1 + abs(a)), 0.0
    up, down = (f(*(x + s * STEP * v for x, v in zip(xs, vs, strict=True))) for s in (1, -1))
    quotient = sum((u * (p - q)).sum().item() / (2 * STEP) for u, p, q in zip(us, up, down, strict=True))
    return len(at), abs(a - b) / (1 + abs(a)), abs(a - quotient) / (1 + abs(a))


def every() -> dict[str, tuple[int, str, int, float, float]]:
    """For each operator: arguments with a rule, its kind of forward mode, examples, the largest two errors."""
    result = {}
    with mt.cpu.use("reference"):
        for name, op in sorted(OPS.items()):
            if op.custom:
                continue
            seed = zlib.crc32(name.encode())
            mt.manual_seed(seed)
            found = []
            for sample in op.samples(np.random.default_rng(seed)):
                if not sample.large and (one := check(op, sample)) is not None:
                    found.append(one)
            if found:
                kind = op.jvp if isinstance(op.jvp, str) else "its own" if op.jvp else "the vjp's"
                result[name] = max(n for n, *_ in found), kind, len(found), *(max(f[k] for f in found) for k in (1, 2))
    return result


def softly() -> dict[str, float]:
    """The soft operators are made of primitives: the same test."""
    mt.manual_seed(0)
    x, y = mt.randn(5, dtype=mt.float64), mt.randn(5, dtype=mt.float64)
    c = mt.rand(5, dtype=mt.float64)
    kinds = {
        "greater_equal": lambda x, y: soft.greater_equal(x, y, 0.5),
        "equal": lambda x, y: soft.equal(x, y, 0.5),
        "equal, sech": lambda x, y: soft.equal(x, y, 0.5, "sech"),
        "not_equal": lambda x, y: soft.not_equal(x, y, 0.5),
        "logical_and": lambda x, y: soft.logical_and(x.sigmoid(), y.sigmoid()),
        "logical_or": lambda x, y: soft.logical_or(x.sigmoid(), y.sigmoid()),
        "where": lambda x, y: soft.where(c, x, y),
        "argmax": lambda x, y: soft.argmax(x * y),
    }
    result = {}
    for name, f in kinds.items():
        v, w = mt.randn(5, dtype=mt.float64), mt.randn(5, dtype=mt.float64)
        out, forward = jvp(f, (x, y), (v, w))
        u = mt.randn(out.shape, dtype=mt.float64)
        gx, gy = vjp(f, x, y)[1](u)
        result[name] = abs(((u * forward).sum() - (gx * v).sum() - (gy * w).sum()).item())
    return result


def main() -> None:
    """Prints the table."""
    options = parser(__doc__)
    options.add_argument("--all", action="store_true", help="list every operator")
    chosen = options.parse_args()
    found = every()
    apart, quotient = (max(row[k] for row in found.values()) for k in (3, 4))
    print(f"{len(found)} operators, {sum(row[2] for row in found.values())} examples:", end=" ")
    print(f"the modes differ by {apart:.1e} at most, from difference quotients by {quotient:.1e}")
    rows = sorted(found.items(), key=lambda row: -row[1][4])
    header = ("operator", "rules", "forward mode", "examples", "modes differ", "from quotients")
    table([(name, *row) for name, row in (sorted(found.items()) if chosen.all else rows[:12])], header, 2)
    if not chosen.all:
        print("  (those whose difference quotients are the worst; --all lists every one)")
    print("soft operators, the modes' difference:", ", ".join(f"{name} {v:.0e}" for name, v in softly().items()))


if __name__ == "__main__":
    main()
