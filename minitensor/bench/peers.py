"""The libraries that are compared: how each is loaded, under the names that the cases use.

minitensor and PyTorch have those names. For NumPy and JAX there is a thin layer that has the cases which come naturally
there; what it lacks raises AttributeError, and the case is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

TITLES = {"minitensor": "minitensor", "torch": "PyTorch", "numpy": "NumPy", "jax": "JAX"}


def load(name: str, threads: int) -> Any:
    """The peer `name`, with so many threads; ModuleNotFoundError where it is not installed."""
    if name in ("numpy", "jax"):
        return _numpy() if name == "numpy" else _jax()  # their threads are set by the environment
    module: Any = __import__(name)
    module.set_num_threads(threads)
    return module


def version(name: str) -> str:
    return str(__import__(name).__version__)


def environment(threads: int) -> dict[str, str]:
    """What makes the peers' own pools use so many threads; it is read when they are imported."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
    wanted = {name: str(threads) for name in names} | {"JAX_PLATFORMS": "cpu"}
    if threads == 1:
        wanted["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return wanted


def _numpy() -> Any:
    """Products, elementwise functions and reductions; without derivatives."""
    import numpy as np

    rng = np.random.default_rng(0)
    names = ("float32", "float64", "exp", "log", "sqrt", "sin")
    return SimpleNamespace(
        **{name: getattr(np, name) for name in names},
        manual_seed=lambda seed: None,
        randn=lambda *shape, dtype=np.float32: np.asarray(rng.standard_normal(shape), dtype),
        nn=SimpleNamespace(functional=SimpleNamespace(linear=lambda x, w, b: x @ w.T + b)),
    )


def _jax() -> Any:
    """The same, and convolutions, activations and softmax; compiled once, outside the time; with derivatives."""
    import jax
    import numpy as np
    from jax import numpy as jnp

    rng = np.random.default_rng(0)

    def convolve(x: Any, w: Any, stride: int, padding: int, groups: int) -> Any:
        pad = [(padding, padding)] * 2
        return jax.lax.conv_general_dilated(x, w, (stride, stride), pad, feature_group_count=groups)

    def compiled(function: Callable[..., Any], xs: list[Any]) -> Callable[[], Any]:
        program = jax.jit(function)
        return lambda: jax.block_until_ready(program(*xs))  # it returns before it has computed

    def prepared(run: Callable[..., Any], xs: list[Any]) -> Callable[[], Any]:
        return compiled(lambda *xs: run(module, *xs), xs)

    def differentiated(run: Callable[..., Any], xs: list[Any]) -> Callable[[], Any]:
        def both(g: Any, *xs: Any) -> Any:
            out, pull = jax.vjp(lambda *xs: run(module, *xs), *xs)
            return out, pull(g)

        shape = jax.eval_shape(lambda *xs: run(module, *xs), *xs).shape
        return compiled(both, [jnp.asarray(rng.standard_normal(shape), "float32"), *xs])

    functional = SimpleNamespace(
        **{name: getattr(jax.nn, name) for name in ("relu", "sigmoid", "tanh", "silu", "elu", "softmax")},
        gelu=lambda x: jax.nn.gelu(x, approximate=False),
        linear=lambda x, w, b: x @ w.T + b,
        conv2d=lambda x, w, stride, padding, groups: convolve(x, w, stride, padding, groups),
        mse_loss=lambda x, y: jnp.mean((x - y) ** 2),
    )
    module = SimpleNamespace(
        **{name: getattr(jnp, name) for name in ("exp", "log", "sqrt", "sin")},
        float32="float32",
        nn=SimpleNamespace(functional=functional),
        manual_seed=lambda seed: None,
        randn=lambda *shape, dtype="float32": jnp.asarray(rng.standard_normal(shape), dtype),
        prepared=prepared,
        differentiated=differentiated,
    )
    return module
