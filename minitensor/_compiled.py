"""Where Python finds what Cython compiled: all of it lies in one library, a sixth smaller than one for each module.

Python looks for `minitensor.ops.shape` in a file of its own; the finder here shows it the library. Where there is none,
the modules run uncompiled. CMake reads the names here, too.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from types import ModuleType

NAMES = """
    autograd.reverse
    graph.algebra
    graph.backward
    graph.forward
    graph.modes
    graph.nodes
    graph.places
    graph.record
    graph.tensors
    graph.views
    nn.module
    ops.arithmetic
    ops.common
    ops.comparison
    ops.indexing
    ops.join
    ops.matmul
    ops.reduce
    ops.shape
"""


class Finder:
    """Finds the modules of NAMES in `library`, each by the function that makes it."""

    def __init__(self, library: str) -> None:
        self.library = library
        self.names = {f"{__package__}.{name}" for name in NAMES.split()}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if name not in self.names:
            return None
        return spec_from_file_location(name, self.library, loader=ExtensionFileLoader(name, self.library))


_shared = find_spec(f"{__package__}._cython_shared")  # what the modules have in common, and the library's name
if _shared is not None and _shared.origin is not None:
    sys.meta_path.insert(0, Finder(_shared.origin))
