"""The graph: tensors, nodes, the recording of operators, reverse and forward mode.

Pure-Python-mode Cython: the build compiles these files; with MINITENSOR_COMPILE_GRAPH=OFF the very same files run as
Python and a debugger steps through them. Beside each stands a .pxd: what Cython's compiler needs to know of it for the
others, which call it as C calls C; compiled, a module has its imports of the others from there. The graph knows no
operator by name; the few that it needs itself (to add gradients, to sum them back over broadcast axes) are handed to
it by `algebra.set_algebra`.

Each module imports only from those above it:

    modes      what a thread or the program has switched: recording, inference, hooks of saved values, the references
    algebra    the few operators that the graph itself needs
    arrays     what is read of an ndarray at every call
    places     where in the user's program something was done, for messages
    tensors    the core of a tensor: an ndarray, the version of its memory, its place in the graph
    nodes      a recorded operator, the values that it keeps, hooks
    record     `apply`, the one way down: runs an operator's kernel, wraps the output and makes a node
    backward   the walk back over the nodes
    forward    forward mode, any number of levels
    views      writes in place, and what they mean for the views of the same memory

An operator called on arrays is just its kernel; called on tensors it is recorded: the derivative rules are written with
operators, so the walk runs them on arrays for a first derivative and on tensors where the derivative is itself to be
differentiated.

    inputs  ---.                      a Node keeps, for each argument, what made it (a Node, or a leaf Tensor, or None
    (Node, k)   > Node(op) --> out    where no gradient is wanted) and which output of that; and the values that the
    leaf Tensor-'   |                 rules need, with the version of their storage at that time
                  saved
"""

from .backward import differentiate as differentiate
from .modes import is_compiled as is_compiled
from .nodes import Node as Node
from .record import apply as apply
from .tensors import Tensor as Tensor
