"""DLPack: memory shared with other libraries, as PyTorch names it."""

from ..interop import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
