"""Pictures of functions, of networks and of training runs.

Each function takes arrays or tensors (or a function of tensors) and returns matplotlib's axes: one pair, or an array
of them where it makes several. `save(axes, "picture.png")` writes the picture that they belong to; those that fill one
pair also draw into another's, `ax=`. No window is opened and no global state of pyplot is touched. matplotlib comes
with the extra `examples`; without it ModuleNotFoundError says so.

The colours can be told apart by everyone (Okabe and Ito, "Color universal design", 2008): blue for what is right or
trained on, vermilion for what is wrong or held back; viridis for sizes, purple and orange for signs.
"""

from .plots.common import BLUE, COLOURS, STYLES, VERMILION, figure, save
from .plots.functions import function, gradients, levels, path, regions, surface
from .plots.networks import activations, attention, embedding, filters, images
from .plots.runs import confusion, curves, mistaken_texts, mistakes, words

__all__ = [
    "BLUE", "COLOURS", "STYLES", "VERMILION", "activations", "attention", "confusion", "curves", "embedding", "figure",
    "filters", "function", "gradients", "images", "levels", "mistaken_texts", "mistakes", "path", "regions", "save",
    "surface", "words",
]  # fmt: skip
