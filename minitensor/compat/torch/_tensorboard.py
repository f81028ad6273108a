"""torch.utils.tensorboard: a writer that writes nothing."""

from __future__ import annotations

from typing import Any

from ._helpers import Inert, nothing

__all__ = ["SummaryWriter"]


class SummaryWriter(Inert):
    """Takes what a program logs, and writes no file."""

    def __init__(self, log_dir: Any = None, comment: str = "", **_: Any) -> None:
        self.log_dir = "runs" if log_dir is None else str(log_dir)

    def get_logdir(self) -> str:
        """The folder that was named."""
        return self.log_dir

    add_scalar = add_scalars = add_histogram = add_image = add_images = add_figure = add_graph = add_text = nothing
    add_hparams = add_embedding = add_pr_curve = add_video = add_audio = add_mesh = flush = close = nothing
