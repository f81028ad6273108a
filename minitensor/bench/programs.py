"""Operators with what they cost at the least: multiplications and additions, and bytes moved. The ladder, the roofline
and `pytest bench` measure these."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import minitensor as mt

from . import machine
from .clock import best_time

F = mt.nn.functional


@dataclass(frozen=True)
class Program:
    """An operator at a size. `flops` are those of the formula, `moved` the bytes of its arguments and result, once."""

    name: str
    size: str
    flops: float
    moved: float
    shapes: tuple[tuple[int, ...], ...]
    call: Callable[..., object]
    climbs: bool = False

    @property
    def intensity(self) -> float:
        """FLOPs for each byte."""
        return self.flops / self.moved

    @property
    def counts_flops(self) -> bool:
        """Whether arithmetic is its limit, and GFLOP/s its speed; otherwise memory and GB/s."""
        return self.intensity > 8

    @property
    def unit(self) -> str:
        return "GFLOP/s" if self.counts_flops else "GB/s"

    def ready(self) -> Callable[[], object]:
        """What to time; nothing is recorded."""
        mt.manual_seed(0)
        return functools.partial(self.call, *(mt.randn(*shape) for shape in self.shapes))

    def speed(self, seconds: float) -> float:
        """In its unit."""
        return (self.flops if self.counts_flops else self.moved) / seconds / 1e9

    def took(self, seconds: float) -> float:
        """The time of a call here and now, the best of `seconds` of calls."""
        return best_time(self.ready(), seconds)

    def limit(self, isa: str, threads: int) -> float:
        """What this machine can do at most, in its unit: multiply, or copy as many bytes."""
        if self.counts_flops:
            return machine.peak(isa, threads)[0] / 1e9
        return machine.copy_rate(int(self.moved), threads) / 1e9


def _by(*sizes: int) -> str:
    return "x".join(map(str, sizes))


def _floats(*shapes: tuple[int, ...]) -> float:
    count = 0
    for shape in shapes:
        n = 1
        for size in shape:
            n *= size
        count += n
    return 4.0 * count


def ladder(scale: int = 4) -> list[Program]:
    """The six operators that a course climbs. At scale 4 the slowest rung takes about a quarter of a second."""
    n, c, rows, t = 96 * scale, 8 * scale, 512 * scale, 64 * scale
    heads = (2, 4, t, 64)
    image, pooled = (8, c, 28, 28), (4 * scale, 64, 56, 56)
    return [
        Program("matmul", _by(n, n, n), 2.0 * n**3, 3 * _floats((n, n)), ((n, n), (n, n)), mt.matmul, True),
        Program(
            "conv2d",
            f"{_by(*image)}, {c} of 3x3",
            2.0 * 8 * 28 * 28 * c * c * 9,
            _floats(image, image, (c, c, 3, 3)),
            (image, (c, c, 3, 3)),
            lambda x, w: F.conv2d(x, w, padding=1),
            True,
        ),
        Program(
            "attention",
            _by(*heads),
            4.0 * 2 * 4 * t * t * 64,
            4 * _floats(heads),
            (heads,) * 3,
            F.scaled_dot_product_attention,
            True,
        ),
        Program(
            "max_pool2d",
            f"{_by(*pooled)} of 2",
            3 * _floats(pooled) / 16,
            _floats(pooled) * 1.25,
            (pooled,),
            lambda x: F.max_pool2d(x, 2),
            True,
        ),
        Program(
            "softmax",
            _by(rows, 1000),
            5.0 * rows * 1000,
            2 * _floats((rows, 1000)),
            ((rows, 1000),),
            lambda x: F.softmax(x, -1),
            True,
        ),
        Program(
            "layer_norm",
            _by(rows, 768),
            8.0 * rows * 768,
            2 * _floats((rows, 768)),
            ((rows, 768), (768,), (768,)),
            lambda x, w, b: F.layer_norm(x, (768,), w, b),
            True,
        ),
    ]


def others(scale: int = 4) -> list[Program]:
    """Operators without rungs, from the left of the roofline to its right."""
    n = 256 * scale
    x = (n, n)
    wide = _floats(x)
    image = (4 * scale, 64, 28, 28)
    return [
        Program("clone", _by(*x), 0.0, 2 * wide, (x,), lambda x: x.clone()),
        Program("transpose", _by(*x), 0.0, 2 * wide, (x,), lambda x: x.t().contiguous()),
        Program("add", _by(*x), n * n, 3 * wide, (x, x), mt.add),
        Program("relu", _by(*x), n * n, 2 * wide, (x,), mt.relu),
        Program("exp", _by(*x), 12.0 * n * n, 2 * wide, (x,), mt.exp),
        Program("gelu", _by(*x), 20.0 * n * n, 2 * wide, (x,), F.gelu),
        Program("sum", _by(*x), n * n, wide, (x,), mt.sum),
        Program("sum of columns", _by(*x), n * n, wide, (x,), lambda x: x.sum(0)),
        Program(
            "batch_norm",
            _by(*image),
            8 * _floats(image) / 4,
            2 * _floats(image),
            (image, (64,), (64,)),
            lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        ),
        Program("matrix x vector", _by(*x), 2.0 * n * n, wide, (x, (n,)), mt.mv),
        Program(
            "linear",
            f"{16 * scale} of {_by(*x)}",
            2.0 * 16 * scale * n * n,
            wide + 2 * _floats((16 * scale, n)),
            ((16 * scale, n), x, (n,)),
            F.linear,
        ),
        Program(
            "conv2d depthwise",
            f"{_by(*image)}, 3x3",
            2 * 9 * _floats(image) / 4,
            2 * _floats(image),
            (image, (64, 1, 3, 3)),
            lambda x, w: F.conv2d(x, w, padding=1, groups=64),
        ),
        Program("matmul large", _by(n, n, n), 2.0 * n**3, 3 * wide, (x, x), mt.matmul),
    ]
