"""What is switched: for the whole program, and in each thread."""

from __future__ import annotations

import threading
from typing import Any

from ..errors import GraphError

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:

    def thread_number() -> int:
        """In C, a number that no other thread has or will have; 0: look it up."""
        return 0


def is_compiled() -> bool:
    """Whether the graph runs compiled by Cython."""
    return bool(cython.compiled)


@cython.final
@cython.cclass
class Switches:
    """What holds for the whole program; where a count is 0, nobody looks at the thread."""

    reference: bool  # every operator runs its NumPy reference
    anomaly: bool  # every node keeps its place in the program
    check_nan: bool  # the walk looks for NaN
    inferring: int  # how many threads are in inference mode
    paused: int  # how many threads do not record
    packing: int  # how many hooks of saved values are in force, in all threads
    watching: int  # how many threads have a watch on what they record
    casting: int  # how many threads are in autocast

    def __init__(self) -> None:
        self.reference = self.anomaly = self.check_nan = False
        self.inferring = self.paused = self.packing = self.watching = self.casting = 0


switches = Switches()


@cython.final
@cython.cclass
class Thread:
    """What a thread has switched: recording, inference, and how many forward levels are open."""

    number: int
    grad: bool
    inference: bool
    depth: int
    batches: list[Any]
    packs: list[Any]
    walk: int
    pending: Any
    watch: Any
    cast: Any

    def __init__(self) -> None:
        self.number = 0
        self.grad, self.inference, self.depth = True, False, 0
        self.batches: list[Any] = []  # the vmaps that the thread is in, the outermost first
        self.packs: list[Any] = []  # the hooks of saved values, innermost last: (pack, unpack), or why none may be
        self.walk = 0  # the number of the walk back that the thread is in, or 0
        self.pending: Any = None  # and what that walk has still to come to
        self.watch: Any = None  # what sees every operator that is recorded
        self.cast: Any = None  # NumPy's dtype that products are cast to, in autocast


_threads = threading.local()
_last: Thread = Thread()  # of the thread that asked last


@cython.cfunc
def current() -> Thread:
    """What this thread has switched."""
    global _last
    number: cython.longlong = thread_number()
    if number == 0 or _last.number != number:
        if not hasattr(_threads, "switched"):
            _threads.switched = Thread()
        _last = _threads.switched
        _last.number = number
    return _last


def grad_enabled() -> bool:
    """Whether operators are recorded in this thread."""
    return current().grad


@cython.ccall
def set_grad_enabled(on: cython.bint) -> Any:
    """Switches recording in this thread."""
    thread: Thread = current()
    switches.paused += thread.grad - on
    thread.grad = on


@cython.cfunc
def recording() -> cython.bint:
    """`grad_enabled`, without looking up the thread where all of them record."""
    return switches.paused == 0 or current().grad


def inference_enabled() -> bool:
    """Whether this thread is in inference mode."""
    return current().inference


def set_inference(on: cython.bint) -> None:
    """Switches inference mode in this thread."""
    thread: Thread = current()
    switches.inferring += on - thread.inference
    thread.inference = on


def switch(grad: Any, inference: Any) -> Any:
    """Switches both in this thread, None: not; returns what they were."""
    thread: Thread = current()
    before = (thread.grad, thread.inference)
    if grad is not None:
        set_grad_enabled(grad)
    if inference is not None:
        set_inference(inference)
    return before


def use_reference(on: bool) -> None:
    """Whether every operator runs its NumPy reference instead of its kernel."""
    switches.reference = on


def uses_reference() -> bool:
    """Whether every operator runs its NumPy reference."""
    return switches.reference


def set_autocast(dtype: Any) -> Any:
    """Has this thread cast what products get to a dtype of NumPy's; None: no more. Returns what it was."""
    thread: Thread = current()
    before: Any = thread.cast
    switches.casting += int(dtype is not None) - int(before is not None)
    thread.cast = dtype
    return before


def autocast_dtype() -> Any:
    """NumPy's dtype that this thread casts to what products get, or None."""
    return None if switches.casting == 0 else current().cast


def batch_levels() -> list[Any]:
    """The vmaps that this thread is in, the outermost first: each a `batching.BatchLevel`."""
    return current().batches


def push_pack(hooks: Any) -> None:
    """Has each value that is saved from now on go through `hooks`: (pack, unpack), or a reason why none may be set."""
    now: Any = pack_hooks()
    if isinstance(now, str) and not isinstance(hooks, str):
        raise GraphError(now)
    current().packs.append(hooks)
    switches.packing += 1


@cython.cfunc
def pack_hooks() -> Any:
    """The innermost of what `push_pack` was given, or None."""
    packs: list = current().packs
    return packs[len(packs) - 1] if packs else None


def pop_pack() -> None:
    """Takes the innermost hooks of saved values away."""
    current().packs.pop()
    switches.packing -= 1


def set_watch(watch: Any) -> Any:
    """Has `watch(node, arguments, outputs)` called for every operator that this thread records; None: nothing.

    Returns the watch that there was before.
    """
    thread: Thread = current()
    before: Any = thread.watch
    switches.watching += int(watch is not None) - int(before is not None)
    thread.watch = watch
    return before


def current_walk() -> int:
    """The number of the walk back that this thread is in; 0 outside one."""
    return int(current().walk)
