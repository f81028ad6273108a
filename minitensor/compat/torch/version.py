"""torch.version: the version of PyTorch whose behaviour is followed, built for the CPU."""

__all__ = ["__version__", "cuda", "debug", "git_version", "hip"]

__version__ = "2.13.0+cpu"
debug = False
cuda = hip = xpu = None
git_version = "Unknown"
