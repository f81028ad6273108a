"""Finding what made a NaN: the walk back checks each gradient, and names the line of the forward."""

from __future__ import annotations

from ..graph import places


class set_detect_anomaly:
    """Switches the search for NaN on or off: takes effect at once, and as a context manager is undone at its end."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = places.anomaly()
        places.set_anomaly(bool(mode), bool(check_nan))

    def __enter__(self) -> None:
        """Nothing: it is in force."""

    def __exit__(self, *error: object) -> None:
        places.set_anomaly(*self._before)


class detect_anomaly:
    """While it is open, a backward whose derivative rule gives a NaN raises GraphError.

    The error names the operator and the file and line that called it in the forward; so do the other errors of the
    walk, for every operator. Every gradient is checked, which costs a pass over each.

    >>> x = mt.tensor(0.0, requires_grad=True)
    >>> with mt.autograd.detect_anomaly():
    ...     y = x.sqrt() * 0
    ...     y.backward()
    Traceback (most recent call last):
    minitensor.errors.GraphError: Function 'SqrtBackward0' returned nan values in its 0th output: ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan

    def __enter__(self) -> None:
        self._before = places.anomaly()
        places.set_anomaly(True, self._check_nan)

    def __exit__(self, *error: object) -> None:
        places.set_anomaly(*self._before)


def is_anomaly_enabled() -> bool:
    """Whether the walk back looks for NaN."""
    return places.anomaly()[0]


def is_anomaly_check_nan_enabled() -> bool:
    """Whether a NaN raises while `detect_anomaly` is on."""
    return places.anomaly()[1]
