"""pytest-benchmark of our own kernels by operator, rung and instruction set, with the share of the machine's limit:

pytest bench                                            every operator, on every instruction set
pytest bench -k "matmul and fast" --benchmark-columns=min,median
pytest bench --benchmark-json=FILE                      extra_info has speed, unit, limit and share
"""

from __future__ import annotations

from typing import Any

import pytest

import minitensor as mt
from minitensor.bench import programs

LADDER = programs.ladder()
OTHERS = programs.others()


def share(benchmark: Any, program: programs.Program) -> None:
    """Times the program as the machine is set, and enters its speed and what the machine can do."""
    benchmark.group = f"{program.name} {program.size}"
    with mt.no_grad():
        benchmark.pedantic(program.ready(), rounds=5, iterations=1, warmup_rounds=1)
    if benchmark.disabled:
        return
    speed = program.speed(benchmark.stats.stats.min)
    limit = program.limit(mt.cpu.isa(), mt.get_num_threads())
    benchmark.extra_info |= {"speed": speed, "unit": program.unit, "limit": limit, "share": speed / limit}


@pytest.mark.parametrize("isa", mt.cpu.isas()[1:])
@pytest.mark.parametrize("rung", mt.cpu.RUNGS[1:])
@pytest.mark.parametrize("program", LADDER, ids=lambda p: p.name)
def test_rung(benchmark: Any, program: programs.Program, rung: str, isa: str) -> None:
    with mt.cpu.use(isa), mt.cpu.kernels(rung):
        share(benchmark, program)


@pytest.mark.parametrize("isa", mt.cpu.isas())
@pytest.mark.parametrize("program", OTHERS, ids=lambda p: p.name)
def test_operator(benchmark: Any, program: programs.Program, isa: str) -> None:
    with mt.cpu.use(isa):
        share(benchmark, program)


@pytest.mark.parametrize("program", LADDER, ids=lambda p: p.name)
def test_reference(benchmark: Any, program: programs.Program) -> None:
    with mt.cpu.use("reference"):
        share(benchmark, program)
