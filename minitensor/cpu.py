"""The machine under the engine: which instruction set, which rung of kernels, how many threads, how much memory.

The environment sets the start: MINITENSOR_ISA (as `use`), MINITENSOR_KERNELS (as `kernels`), MINITENSOR_NUM_THREADS.
"""

from __future__ import annotations

import os
from types import TracebackType

from . import _core
from .errors import ShapeError
from .graph import modes

RUNGS = ("reference", "naive", "blocked", "simd", "fast")


class _Switch:
    """A setting that has been made; as a context manager it is undone at the end."""

    def __init__(self, isa: str, rung: str) -> None:
        self._before = (_core.isa(), _core.rung(), modes.uses_reference())
        self._wanted = (isa, rung)
        _set(isa, rung)

    def __enter__(self) -> None:
        _set(*self._wanted)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        isa, rung, reference = self._before
        _core.use_isa(isa)
        _core.use_rung(rung)
        modes.use_reference(reference)


def _set(isa: str, rung: str) -> None:
    reference = "reference" in (isa, rung)
    if isa not in ("", "reference"):
        _core.use_isa(isa)
    if rung not in ("", "reference"):
        _core.use_rung(rung)
    modes.use_reference(reference)


def isas() -> list[str]:
    """What this build and this CPU can run, the best last; "reference" is NumPy.

    >>> "generic" in mt.cpu.isas()
    True
    """
    return ["reference", *_core.isas()]


def isa() -> str:
    """The instruction set in force: "reference", "generic", "avx2", "avx512" or "neon"."""
    return "reference" if modes.uses_reference() else str(_core.isa())


def use(isa: str) -> _Switch:
    """Switches to an instruction set, or to the NumPy references; in a `with`, only for its block.

    Raises ShapeError (a ValueError) for a name that is unknown or that this CPU does not run.

    >>> with mt.cpu.use("reference"):
    ...     mt.cpu.isa()
    'reference'
    """
    if isa not in isas():
        raise ShapeError(f"cpu.use: ISA {isa!r} is not one of those that run here: {', '.join(isas())}")
    return _Switch(isa, "")


def rung() -> str:
    """The rung of kernels in force: "reference", "naive", "blocked", "simd" or "fast"."""
    return "reference" if modes.uses_reference() else str(_core.rung())


def kernels(rung: str) -> _Switch:
    """Switches to a rung of the kernels that have several, from the textbook's loops to the fast ones.

    "naive" is the textbook's loops, "blocked" adds cache blocks, "simd" vectors, "fast" packing, fusion and threads;
    "reference" is NumPy. In a `with`, only for its block.

    >>> with mt.cpu.kernels("naive"):
    ...     y = mt.ones(2, 3) @ mt.ones(3, 2)
    """
    if rung not in RUNGS:
        raise ShapeError(f"cpu.kernels: {rung!r} is not one of {', '.join(RUNGS)}")
    return _Switch("", rung)


def matmul_engine() -> str:
    """What multiplies float32 now: "float32", the vectors of the ISA; "amx", a unit for tiles of bfloat16; or
    "avx512_bf16", vectors of pairs of bfloat16.

    "amx" is in force where the CPU has it, `mt.set_float32_matmul_precision` allows "high" or "medium", and neither
    `use` nor `kernels` asks for another ISA or rung than the fastest; "avx512_bf16" where there is no such unit, but
    such vectors, and "medium" is allowed: by three products, "high" would be slower than float32 there.

    >>> mt.cpu.matmul_engine()
    'float32'
    """
    return "float32" if modes.uses_reference() else str(_core.engine())


def split_products(parts: int) -> None:
    """Into how many parts of bfloat16 products split each float32; 0 for none. See `set_float32_matmul_precision`."""
    _core.set_parts(parts)


def set_num_threads(n: int) -> None:
    """Sets how many threads a kernel may use. The results are the same, to the bit, for any number."""
    if not isinstance(n, int) or n < 1:
        raise ShapeError(f"set_num_threads: expected a positive integer, got {n!r}")
    _core.set_num_threads(n)


def get_num_threads() -> int:
    """How many threads a kernel may use; at first, the number of cores."""
    return int(_core.num_threads())


def memory_stats() -> dict[str, int]:
    """The memory pool: bytes `in_use`, `kept` for the next request, `peak`; `requests`, and how many were `fresh`."""
    return dict(_core.memory_stats())


def reset_peak_memory_stats() -> None:
    """Starts measuring the peak anew, from what is in use now."""
    _core.reset_peak()


def empty_cache() -> None:
    """Gives the pool's free blocks back to the system."""
    _core.trim()


def _from_environment() -> None:
    """Applies the three variables; an unknown value is an error at import, not a surprise later."""
    if name := os.environ.get("MINITENSOR_KERNELS"):
        kernels(name)
    if name := os.environ.get("MINITENSOR_ISA"):
        use(name)
    if text := os.environ.get("MINITENSOR_NUM_THREADS"):
        if not text.isdigit():
            raise ShapeError(f"MINITENSOR_NUM_THREADS={text!r} is not a number")
        set_num_threads(int(text))


_from_environment()
