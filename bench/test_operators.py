"""pytest-benchmark of our own kernels by rung: `pytest bench --benchmark-group-by=param:name`."""

from __future__ import annotations

import pytest
from cases import CASES

import minitensor as mt

CLIMBED = [name for name in CASES if name.endswith("forward") and name.split()[0] in ("matmul", "conv2d", "softmax")]


@pytest.mark.parametrize("rung", mt.cpu.RUNGS[1:])
@pytest.mark.parametrize("name", CLIMBED)
def test_rung(benchmark, name, rung):
    with mt.cpu.kernels(rung):
        benchmark.pedantic(CASES[name](mt), rounds=3, warmup_rounds=1)
