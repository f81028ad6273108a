"""Switching recording off and on: context managers that are decorators too."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..graph import modes

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """Sets a mode of this thread on entry and puts the old one back on exit, also when an error passes."""

    def __init__(self) -> None:
        self._before: list[tuple[bool, bool]] = []

    def _enter(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> None:
        self._before.append(modes.switch(None, None))
        self._enter()

    def __exit__(self, *error: object) -> None:
        modes.switch(*self._before.pop())

    def _again(self) -> _Mode:
        return type(self)()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                # The mode holds while the generator runs, not while it waits for its caller.
                steps = function(*args, **kwargs)
                sent = None
                while True:
                    with self._again():
                        try:
                            value = steps.send(sent)
                        except StopIteration as end:
                            return end.value
                    sent = yield value

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class _Bare(_Mode):
    """A mode without arguments: may decorate with or without parentheses."""

    def __new__(cls, function: Any = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Any = None) -> None:
        self._before = []


class no_grad(_Bare):
    """Operators inside are not recorded. A context manager and a decorator.

    >>> x = mt.ones(2, requires_grad=True)
    >>> with mt.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __enter__(self) -> None:  # the one of all modes that small programs feel
        self._before.append(modes.switch(False, None))


class enable_grad(_Bare):
    """Operators inside are recorded, also within no_grad, not in inference mode. A context manager and a decorator."""

    def _enter(self) -> None:
        modes.set_grad_enabled(not modes.inference_enabled())


class set_grad_enabled(_Mode):
    """Recording on or off: takes effect at once, and as a context manager is undone at its end."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self._outer = (modes.grad_enabled(), modes.inference_enabled())
        self.mode = bool(mode)
        modes.set_grad_enabled(self.mode)

    def __enter__(self) -> None:
        self._before.append(self._outer)
        self._enter()

    def _enter(self) -> None:
        modes.set_grad_enabled(self.mode)

    def _again(self) -> _Mode:
        return set_grad_enabled(self.mode)

    def __call__(self, function: F) -> F:
        modes.set_grad_enabled(self._outer[0])  # a decorator changes nothing by being made
        return super().__call__(function)


class inference_mode(_Mode):
    """no_grad whose tensors can never enter a graph: they can neither be saved for a backward nor require gradients."""

    def __new__(cls, mode: Any = True) -> Any:
        made = super().__new__(cls)
        if callable(mode):
            made.__init__(True)  # type: ignore[misc]
            return made(mode)
        return made

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.mode = bool(mode)

    def _enter(self) -> None:
        modes.set_inference(self.mode)
        modes.set_grad_enabled(not self.mode)

    def _again(self) -> _Mode:
        return inference_mode(self.mode)


def is_grad_enabled() -> bool:
    """Whether operators are recorded in this thread."""
    return modes.grad_enabled()


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode."""
    return modes.inference_enabled()


class set_multithreading_enabled:
    """Accepted for programs that switch it: the walk back runs in the thread that called it, its kernels in several."""

    def __init__(self, mode: bool = True) -> None:
        self.mode = bool(mode)

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, *error: object) -> None:
        """Nothing."""
