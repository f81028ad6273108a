"""The training loop that everyone writes, written once: fit, evaluate, predict; summary.

What `fit` does, without its progress, metrics and callbacks:

    for epoch in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import optim
from .autograd.modes import enable_grad, no_grad
from .creation import as_tensor, zeros
from .dtypes import get_default_dtype, of
from .errors import ShapeError
from .generator import default_generator
from .graph.tensors import Tensor, wrap
from .nn import functional
from .nn.module import Module
from .utils.data import DataLoader, TensorDataset
from .utils.data.sampler import draw_seed

__all__ = ["History", "Summary", "evaluate", "fit", "predict", "summary"]

# The losses that have a short name; the functions are those of nn.functional.
LOSSES = {
    "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy_with_logits",
    "cross_entropy": "cross_entropy",
    "huber": "huber_loss",
    "l1": "l1_loss",
    "mse": "mse_loss",
    "nll": "nll_loss",
    "smooth_l1": "smooth_l1_loss",
}
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


class History(Mapping[str, list[float]]):
    """What `fit` returns: for each number that was watched, a list with one value an epoch.

    `history` is that dict (this object answers as if it were it), `epoch` counts from 0.

    >>> h = mt.History()
    >>> h.append({"loss": 1.5})
    >>> h["loss"], h.epoch
    ([1.5], [0])
    """

    def __init__(self, history: Mapping[str, Sequence[float]] | None = None) -> None:
        self.history: dict[str, list[float]] = {k: list(v) for k, v in (history or {}).items()}
        counts = {len(values) for values in self.history.values()}
        if len(counts) > 1:
            raise ShapeError(f"History: the lists have different lengths {sorted(counts)}")
        self.epoch: list[int] = list(range(max(counts, default=0)))

    def append(self, logs: Mapping[str, float]) -> None:
        """Adds one epoch."""
        if self.epoch and logs.keys() != self.history.keys():
            raise ValueError(f"History: has {sorted(self.history)}, not {sorted(logs)}")
        self.epoch.append(len(self.epoch))
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.history)

    def __len__(self) -> int:
        return len(self.history)

    def __repr__(self) -> str:
        last = ", ".join(shown(name, values[-1]) for name, values in self.history.items() if values)
        return f"<History of {len(self.epoch)} epochs{': ' if last else ''}{last}>"


def shown(name: str, value: float) -> str:
    """A number as the progress shows it: an accuracy in percent."""
    return f"{name} {value:.1%}" if name.endswith("accuracy") else f"{name} {value:.3g}"


# --- data -----------------------------------------------------------------------------------------


def _array(x: Any, dtype: Any) -> Any:
    """A tensor of what a user gives. Fractions that are not yet a tensor take the model's dtype."""
    if isinstance(x, Tensor):
        return x
    x = np.asarray(x)
    return as_tensor(x, dtype=dtype if x.dtype.kind == "f" else None)


def _dtype_of(model: Any) -> Any:
    """The dtype of the model's first floating parameter."""
    parameters = model.parameters() if isinstance(model, Module) else ()
    return next((p.dtype for p in parameters if p.dtype.is_floating_point), get_default_dtype())


def _batches(name: str, model: Any, data: Any, batch_size: int, shuffle: bool, bare: bool = False) -> Iterable[Any]:
    """What gives the batches of `data`. `bare`: a tensor or array alone is the input."""
    _check_count(name, "batch_size", batch_size)
    if bare and isinstance(data, (Tensor, np.ndarray)):
        data = (data,)
    if isinstance(data, tuple):
        arrays = [_array(x, _dtype_of(model)) for x in data]
        if len(arrays) < 2 and not bare:
            raise ShapeError(f"{name}: expected (x, y), got a tuple of {len(arrays)}")
        if any(a.ndim == 0 for a in arrays):
            raise ShapeError(f"{name}: a number without axes has no rows to make batches of")
        rows = [a.shape[0] for a in arrays]
        if len(set(rows)) > 1:
            given = " and ".join(map(str, rows))
            raise ShapeError(f"{name}: x and y must have as many rows, but have {given}")
        if not arrays or rows[0] == 0:
            raise ShapeError(f"{name}: the data is empty")
        return _Rows(arrays, batch_size, shuffle)
    if isinstance(data, (Tensor, np.ndarray)):
        raise TypeError(f"{name}: expected (x, y), a Dataset or a DataLoader, got x alone")
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        if len(data) == 0:
            raise ShapeError(f"{name}: the data is empty")
        return DataLoader(data, batch_size, shuffle)
    if isinstance(data, Iterable) and not isinstance(data, (Iterator, str)):
        return data
    raise TypeError(
        f"{name}: expected (x, y), a Dataset or a DataLoader, got {type(data).__name__}"
        + (", which could be walked through only once" if isinstance(data, Iterator) else "")
    )


class _Rows:
    """The batches of tensors that a DataLoader gives, in its order, with less on the way."""

    def __init__(self, tensors: Sequence[Any], batch_size: int, shuffle: bool) -> None:
        self.tensors, self.batch_size, self.shuffle = tensors, batch_size, shuffle
        self.loader: Any = DataLoader(TensorDataset(*tensors), batch_size, shuffle)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[list[Any]]:
        draw_seed(default_generator)  # as each epoch of a DataLoader does
        order = np.fromiter(self.loader.sampler, np.int64) if self.shuffle else None
        for begin in range(0, self.tensors[0].shape[0], self.batch_size):
            rows: Any = slice(begin, begin + self.batch_size)
            rows = rows if order is None else order[rows]
            yield [t[rows] if t.requires_grad else wrap(t.array[rows]) for t in self.tensors]


def _check_count(name: str, what: str, n: Any, least: int = 1) -> None:
    if not isinstance(n, int) or isinstance(n, bool) or n < least:
        raise ShapeError(f"{name}: {what} must be an integer of at least {least}, not {n!r}")


def _split(name: str, batch: Any, dtype: Any) -> tuple[list[Any], Any, int]:
    """(inputs, target, how many) of a batch: the last of its tensors is the target."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise TypeError(f"{name}: a batch must be (x, y), not a {type(batch).__name__}")
    *inputs, target = [_array(part, dtype) for part in batch]
    return inputs, target, inputs[0].shape[0]


# --- losses and metrics ---------------------------------------------------------------------------


def _loss_function(loss: Any) -> Callable[..., Any]:
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"fit: loss {loss!r} is not one of {', '.join(LOSSES)}, or a function")
        function: Callable[..., Any] = getattr(functional, LOSSES[loss])
        return function
    if not callable(loss):
        raise TypeError(f"fit: the loss must be a name or a function, not {type(loss).__name__}")
    made: Callable[..., Any] = loss
    return made


def _loss_value(name: str, loss: Any) -> float:
    if not isinstance(loss, Tensor) or loss.array.size != 1:
        what = f"of shape {loss.array.shape}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ShapeError(f"{name}: the loss must be a tensor with one number, not {what}")
    return float(loss.array.item())


def accuracy(output: Any, target: Any, threshold: float = 0.5) -> float:
    """The share of answers that are right.

    output (rows, classes, ...) with target (rows, ...) of class indices: the largest output is the
    answer. Both of one size: an output above `threshold` says yes, and so does a target above 0.5.
    """
    y, t = output.array, target.array
    if y.ndim == t.ndim + 1 and y.shape[:1] + y.shape[2:] == t.shape and y.shape[1] > 1:
        return float((y.argmax(1) == t).mean())
    if y.size == t.size:
        return float(((y > threshold).reshape(-1) == (t > 0.5).reshape(-1)).mean())
    raise ShapeError(f"accuracy: outputs {y.shape} and targets {t.shape} do not fit together")


def _metric_functions(metrics: Any, loss: Any) -> dict[str, Callable[..., Any]]:
    """{name: function}. The accuracy of logits, where the loss takes logits, splits at 0."""
    kind = getattr(loss, "__name__", type(loss).__name__) if callable(loss) else str(loss)
    of_logits = "withlogits" in kind.lower().replace("_", "")
    found: dict[str, Callable[..., Any]] = {}
    for metric in [metrics] if isinstance(metrics, str) or callable(metrics) else metrics:
        if metric == "accuracy":
            found[metric] = functools.partial(accuracy, threshold=0.0 if of_logits else 0.5)
        elif callable(metric):
            found[getattr(metric, "__name__", type(metric).__name__)] = metric
        else:
            raise ValueError(f"fit: metric {metric!r} is neither 'accuracy' nor a function")
    return found


class _Means:
    """Means over batches of unequal size: each counts as many times as it has rows."""

    def __init__(self) -> None:
        self.rows = 0
        self.sums: dict[str, float] = {}

    def add(self, rows: int, values: Mapping[str, float]) -> None:
        self.rows += rows
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value) * rows

    def result(self) -> dict[str, float]:
        return {name: total / self.rows for name, total in self.sums.items()}


# --- the loop -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _mode(model: Any, training: bool) -> Iterator[None]:
    """The model in training or evaluation, and every module as it was afterwards."""
    before = [(m, m.training) for m in model.modules()] if isinstance(model, Module) else []
    try:
        if before:
            model.train(training)
        yield
    finally:
        for module, was in before:
            module.training = was


def fit(
    model: Any,
    data: Any,
    loss: Any = "cross_entropy",
    optimizer: Any = "adam",
    *,
    epochs: int = 1,
    batch_size: int = 32,
    validation_data: Any = None,
    metrics: Any = (),
    callbacks: Any = (),
    shuffle: bool = True,
    history: History | None = None,
    verbose: bool | Callable[[int, int, Any], Progress] = True,
) -> History:
    """Trains a model, showing its progress; returns the `History`.

    data, validation_data: (x, y) of tensors or arrays with as many rows, or a Dataset, which are
        cut into batches (`data` shuffled anew each epoch); or a DataLoader or whatever else gives
        batches (x, y) each time it is walked through.
    loss: "cross_entropy", "mse", "bce_with_logits", ..., a module or any function of
        (output, target) that returns the mean over the batch.
    optimizer: one of `mt.optim`, or "adam", "adamw", "sgd" with its defaults (sgd: lr 0.01).
    metrics: "accuracy", or functions of (output, target) that return a number.
    callbacks: functions of (epoch, logs), called after each epoch, or objects with any of the
        methods on_train_begin(), on_epoch_begin(epoch), on_batch_end(batch, logs),
        on_epoch_end(epoch, logs), on_train_end(). Epochs and batches count from 0. Training stops
        after an epoch when a callback has returned True.
    history: that of an earlier call, to go on from: the epochs it has count among `epochs`.
    verbose: whether to show the progress; or a function of (epoch, epochs, batches) that gives a `Progress`
        to show it.
    The modules are as before at the end, in training or in evaluation.
    Raises ShapeError for empty data and for sizes that do not fit together.

    >>> _ = mt.manual_seed(0)
    >>> x = mt.rand(100, 1)
    >>> model = mt.nn.Linear(1, 1)
    >>> sgd = mt.optim.SGD(model.parameters(), lr=0.5)
    >>> history = mt.fit(model, (x, 3 * x + 1), "mse", sgd, epochs=20, verbose=False)
    >>> history["loss"][-1] < 1e-3
    True
    """
    _check_count("fit", "epochs", epochs, 0)
    batches = _batches("fit", model, data, batch_size, shuffle)
    held_back = None
    if validation_data is not None:
        held_back = _batches("fit: validation_data", model, validation_data, batch_size, False)
    loss_function = _loss_function(loss)
    functions = _metric_functions(metrics, loss)
    optimizer = _optimizer(optimizer, model)
    listeners = [callbacks] if callable(callbacks) else list(callbacks)
    history = History() if history is None else history
    dtype = _dtype_of(model)

    with _mode(model, True), enable_grad():
        _call(listeners, "on_train_begin")
        for epoch in range(len(history.epoch), epochs):
            _call(listeners, "on_epoch_begin", epoch)
            means = _Means()
            with _progress(verbose, epoch, epochs, batches) as progress:
                for i, batch in enumerate(batches):
                    inputs, target, rows = _split("fit", batch, dtype)
                    optimizer.zero_grad()
                    output = model(*inputs)
                    value = loss_function(output, target)
                    values = {"loss": _loss_value("fit", value)}
                    value.backward()
                    optimizer.step()
                    if functions:
                        with no_grad():
                            values |= {k: float(f(output, target)) for k, f in functions.items()}
                    means.add(rows, values)
                    if progress.live:
                        progress.step(means.result())
                    _call(listeners, "on_batch_end", i, values)
                if not means.rows:
                    raise ShapeError("fit: the data gave no batches")
                logs = means.result()
                if held_back is not None:
                    checked = _measure(model, held_back, loss_function, functions)
                    logs |= {f"val_{k}": v for k, v in checked.items()}
                progress.end(logs)
            history.append(logs)
            if _call(listeners, "on_epoch_end", epoch, logs):
                break
        _call(listeners, "on_train_end")
    return history


def _optimizer(optimizer: Any, model: Any) -> Any:
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"fit: optimizer {optimizer!r} is not one of {', '.join(OPTIMIZERS)}")
        options = {"lr": 0.01} if optimizer == "sgd" else {}
        return getattr(optim, OPTIMIZERS[optimizer])(model.parameters(), **options)
    if not hasattr(optimizer, "step") or not hasattr(optimizer, "zero_grad"):
        kind = type(optimizer).__name__
        raise TypeError(f"fit: the optimizer must be one of mt.optim or its name, not {kind}")
    return optimizer


def _call(listeners: Sequence[Any], event: str, *args: Any) -> bool:
    """Tells every callback; whether one of them returned True."""
    answers = []
    for listener in listeners:
        method = getattr(listener, event, None)
        if method is None and event == "on_epoch_end" and callable(listener):
            method = listener
        if method is not None:
            answers.append(method(*args))
    return any(answer is True for answer in answers)


def _measure(
    model: Any, batches: Iterable[Any], loss: Callable[..., Any] | None, metrics: Mapping[str, Any]
) -> dict[str, float]:
    """The mean loss and metrics over the batches, in evaluation and outside the graph."""
    means, dtype = _Means(), _dtype_of(model)
    with _mode(model, False), no_grad():
        for batch in batches:
            inputs, target, rows = _split("evaluate", batch, dtype)
            output = model(*inputs)
            values = {}
            if loss is not None:
                values["loss"] = _loss_value("evaluate", loss(output, target))
            means.add(rows, values | {k: float(f(output, target)) for k, f in metrics.items()})
    if not means.rows:
        raise ShapeError("evaluate: the data gave no batches")
    return means.result()


def evaluate(
    model: Any,
    data: Any,
    loss: Any = "cross_entropy",
    *,
    batch_size: int = 256,
    metrics: Any = ("accuracy",),
) -> dict[str, float]:
    """The loss (none with `loss=None`) and the metrics of a model. Arguments as in `fit`.

    >>> x = mt.tensor([[1.0], [2.0]])
    >>> mt.evaluate(mt.nn.Identity(), (x, x + 1), "mse", metrics=())
    {'loss': 1.0}
    """
    batches = _batches("evaluate", model, data, batch_size, False)
    function = None if loss is None else _loss_function(loss)
    return _measure(model, batches, function, _metric_functions(metrics, loss))


def predict(model: Any, data: Any, *, batch_size: int = 256) -> Any:
    """What a model says to each row, in evaluation: one tensor.

    data: inputs alone (a tensor or array), or as in `fit`, where the targets are left aside.

    >>> mt.predict(mt.nn.Flatten(), mt.ones(3, 2, 2)).shape
    minitensor.Size([3, 4])
    """
    outputs, dtype = [], _dtype_of(model)
    with _mode(model, False), no_grad():
        for batch in _batches("predict", model, data, batch_size, False, bare=True):
            parts = list(batch) if isinstance(batch, (tuple, list)) else [batch]
            output = model(*[_array(x, dtype) for x in parts[: max(1, len(parts) - 1)]])
            if not isinstance(output, Tensor):
                kind = type(output).__name__
                raise TypeError(f"predict: the model must return a tensor, not a {kind}")
            outputs.append(output.array)
    if not outputs:
        raise ShapeError("predict: the data gave no batches")
    return wrap(np.concatenate(outputs))


# --- progress -------------------------------------------------------------------------------------


class Progress:
    """What shows how an epoch goes on: this one shows nothing."""

    live = False  # whether `step` is to be called

    def step(self, logs: Mapping[str, float]) -> None:
        """After each batch."""

    def end(self, logs: Mapping[str, float]) -> None:
        """After the epoch."""

    def close(self) -> None:
        """At the end, also when an error passes."""


def _epoch(epoch: int, epochs: int) -> str:
    return f"epoch {epoch + 1:{len(str(epochs))}}/{epochs}"


def _line(logs: Mapping[str, float]) -> str:
    return " ".join(shown(name, value) for name, value in logs.items())


class _Line(Progress):
    """One line an epoch: for files, and where tqdm is not installed."""

    def __init__(self, epoch: int, epochs: int) -> None:
        self.name, self.begin = _epoch(epoch, epochs), time.perf_counter()

    def end(self, logs: Mapping[str, float]) -> None:
        seconds = time.perf_counter() - self.begin
        print(f"{self.name}  {seconds:.1f} s  {_line(logs)}", flush=True)


class _Bar(_Line):
    """A bar that fills up during the epoch, by tqdm, and then makes way for that line."""

    live = True

    def __init__(self, epoch: int, epochs: int, batches: Any) -> None:
        import shutil

        super().__init__(epoch, epochs)
        self.bar = importlib.import_module("tqdm").tqdm(
            total=len(batches) if hasattr(batches, "__len__") else None,
            desc=self.name,
            bar_format="{desc}  {bar:20}  {n_fmt}/{total_fmt}{postfix}",
            ncols=shutil.get_terminal_size().columns,
            leave=False,
            file=sys.stdout,
        )

    def step(self, logs: Mapping[str, float]) -> None:
        self.bar.set_postfix_str(_line(logs), refresh=False)
        self.bar.update()

    def end(self, logs: Mapping[str, float]) -> None:
        self.bar.close()
        super().end(logs)

    def close(self) -> None:
        self.bar.close()


@contextlib.contextmanager
def _progress(verbose: Any, epoch: int, epochs: int, batches: Any) -> Iterator[Progress]:
    shows: Progress
    if callable(verbose):
        shows = verbose(epoch, epochs, batches)
    elif not verbose:
        shows = Progress()
    elif sys.stdout.isatty() and importlib.util.find_spec("tqdm"):
        shows = _Bar(epoch, epochs, batches)
    else:
        shows = _Line(epoch, epochs)
    try:
        yield shows
    finally:
        shows.close()


# --- a table of the model -------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """What `summary` returns; prints as a table.

    rows: (name, what it is, shape of its output or None, parameters of its own) of every module.
    total, trainable: parameters of the model, a shared one counted once. nbytes: their memory.
    """

    rows: list[tuple[str, str, tuple[int, ...] | None, int]]
    total: int
    trainable: int
    nbytes: int

    def __str__(self) -> str:
        with_shapes = any(shape is not None for _, _, shape, _ in self.rows)
        lines = [("layer", "output", "parameters")]
        for name, kind, shape, count in self.rows:
            indent = "  " * name.count(".")
            label = f"{indent}{name.rpartition('.')[2]} {kind}" if name else kind
            lines.append((label, str(shape or ""), f"{count:,}" if count else ""))
        widths = [max(len(line[i]) for line in lines) for i in range(3)]
        text = []
        for label, shape_text, count_text in lines:
            middle = f"  {shape_text:{widths[1]}}" if with_shapes else ""
            text.append(f"{label:{widths[0]}}{middle}  {count_text:>{widths[2]}}".rstrip())
        rule = "-" * max(map(len, text))
        kb = self.nbytes / 1024
        size = f"{kb:,.1f} KB" if kb < 1024 else f"{kb / 1024:,.1f} MB"
        total = f"{self.total:,} parameters, {self.trainable:,} of them trained, {size}"
        return "\n".join([text[0], rule, *text[1:], rule, total])

    __repr__ = __str__


def summary(model: Any, input_size: Any = None, dtype: Any = None) -> Summary:
    """A table of a model's layers: their parameters and, given the input's size, their outputs.

    input_size: the sizes of one batch, such as (1, 3, 32, 32), or a list of sizes for a model of
        several inputs; the model is run once on zeros of `dtype`, in evaluation.

    >>> model = mt.nn.Sequential(mt.nn.Linear(4, 8), mt.nn.ReLU())
    >>> mt.summary(model, (1, 4))
    layer       output  parameters
    ------------------------------
    Sequential  (1, 8)
    0 Linear    (1, 8)          40
    1 ReLU      (1, 8)
    ------------------------------
    40 parameters, 40 of them trained, 0.2 KB
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: expected a Module, got {type(model).__name__}")
    shapes: dict[int, tuple[int, ...]] = {}
    if input_size is not None:
        _run_on_zeros(model, input_size, dtype, shapes)
    rows = []
    for name, module in model.named_modules():
        own = sum(p.numel() for p in module.parameters(recurse=False))
        rows.append((name, type(module).__name__, shapes.get(id(module)), own))
    parameters = list(model.parameters())
    total = sum(p.numel() for p in parameters)
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    return Summary(rows, total, trainable, sum(p.nbytes for p in parameters))


def _run_on_zeros(model: Module, input_size: Any, dtype: Any, shapes: dict[int, Any]) -> None:
    """Fills in the shape of what each module returns, if it is a tensor."""

    def note(module: Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[id(module)] = tuple(output.array.shape)

    several = isinstance(input_size, list) and all(isinstance(s, (tuple, list)) for s in input_size)
    d = _dtype_of(model) if dtype is None else of(dtype)
    inputs = [zeros(size, dtype=d) for size in (input_size if several else [input_size])]
    handles = [module.register_forward_hook(note) for module in model.modules()]
    try:
        with _mode(model, False), no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
