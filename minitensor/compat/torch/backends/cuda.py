"""torch.backends.cuda: settings without effect."""

from __future__ import annotations

from types import SimpleNamespace

from .._helpers import Inert, no, nothing

__all__ = ["is_built", "matmul", "sdp_kernel"]

matmul = SimpleNamespace(
    allow_tf32=False,
    fp32_precision="none",
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
)
is_built = flash_sdp_enabled = mem_efficient_sdp_enabled = cudnn_sdp_enabled = no
enable_flash_sdp = enable_mem_efficient_sdp = enable_math_sdp = enable_cudnn_sdp = nothing
preferred_linalg_library = preferred_blas_library = nothing
sdp_kernel = Inert


def math_sdp_enabled() -> bool:
    """True: attention is computed."""
    return True
