"""Recurrent layers: RNN, LSTM, GRU, and their single steps."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import creation
from ..dtypes import float32
from ..errors import DtypeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply
from ..ops import rnn as cells
from ..ops.arithmetic import add
from ..ops.common import array_of, shape_of
from ..ops.dropout import dropout
from ..ops.join import cat, stack, unbind
from ..ops.matmul import linear
from ..ops.recurrent import GRU_LAYER, LSTM_LAYER, RNN_LAYER, Sizes, step_by_step
from ..ops.rnn import LSTM_CELL
from ..ops.scatter import index_select
from ..ops.shape import reshape, squeeze, transpose, unsqueeze
from . import init
from .linear import whole
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

State = tuple[Any, ...]  # of one direction of one layer: (h,), or (h, c)


def _start_uniform(module: Module, hidden_size: int) -> None:
    bound = 1.0 / math.sqrt(hidden_size) if hidden_size > 0 else 0.0
    for p in module.parameters():
        init.uniform_(p, -bound, bound)


class RNNBase(Module):
    """What the recurrent layers share: parameters for each layer and direction, and the way through time.

    Parameters of layer k: weight_ih_lk, weight_hh_lk, bias_ih_lk, bias_hh_lk (and weight_hr_lk with a projection), and
    the same with `_reverse` for the other direction; all start uniform within 1 / sqrt(hidden_size).
    """

    _gates = 1
    _states = 1

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = self._get_name()
        self.mode = mode
        self.input_size = whole(name, "input_size", input_size, 0)
        self.hidden_size = whole(name, "hidden_size", hidden_size, 1)
        self.num_layers = whole(name, "num_layers", num_layers, 1)
        self.bias = bias
        self.batch_first = batch_first
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ShapeError(f"{name}: dropout must be a probability, from 0 to 1, not {dropout!r}")
        self.dropout = float(dropout)
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} acts between layers, and there is only one (num_layers=1)", stacklevel=3
            )
        self.bidirectional = bidirectional
        self.proj_size = whole(name, "proj_size", proj_size, 0)
        if self.proj_size >= self.hidden_size:
            raise ShapeError(f"{name}: proj_size {proj_size} must be smaller than hidden_size {hidden_size}")
        if self.proj_size and mode != "LSTM":
            raise ShapeError(f"{name}: proj_size is for LSTM only")
        self._names: list[list[str]] = []  # of the parameters of each layer and direction
        n, out = self._gates * self.hidden_size, self.proj_size or self.hidden_size
        for layer in range(self.num_layers):
            for suffix in self._directions():
                width = self.input_size if layer == 0 else out * len(self._directions())
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (n, width), "weight_hh": (n, out)}
                shapes.update({"bias_ih": (n,), "bias_hh": (n,)} if bias else {})
                shapes.update({"weight_hr": (out, self.hidden_size)} if self.proj_size else {})
                for kind, shape in shapes.items():
                    value = Parameter(creation.empty(shape, device=device, dtype=dtype))
                    self.register_parameter(f"{kind}_l{layer}{suffix}", value)
                self._names.append([f"{kind}_l{layer}{suffix}" for kind in shapes])
        self.reset_parameters()

    def _directions(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        _start_uniform(self, self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing: the parameters lie where they are."""

    @property
    def _flat_weights_names(self) -> list[str]:
        """The parameters' names in one list, for programs that initialize them one by one."""
        return [name for names in self._names for name in names]

    @property
    def _flat_weights(self) -> list[Any]:
        return [self._parameters[name] for name in self._flat_weights_names]

    @property
    def _all_weights(self) -> list[list[str]]:
        return self._names

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters of each layer and direction."""
        return [[self._parameters[name] for name in names] for names in self._names]

    def _layer(self, x: Any, states: State, w: dict[str, Any], sizes: Sizes, reverse: bool) -> tuple[Any, ...]:
        """One direction of a layer: from the input's product (rows, gates * H) to (outputs (rows, H), *last state)."""
        raise NotImplementedError

    def _input(self, x: Any, w: dict[str, Any]) -> Any:
        """The product of the whole sequence with the weights of the input, and the biases that can be added here."""
        bias = w.get("bias_ih")
        return linear(x, w["weight_ih"], bias if bias is None else add(bias, w["bias_hh"]))

    def _run(self, x: Any, state: State, layer: int, suffix: str, sizes: Sizes) -> tuple[Any, State]:
        """One direction of one layer through time, on the rows of steps of these sizes: the outputs, the last state."""
        end = f"_l{layer}{suffix}"
        w = {name.removesuffix(end): self._parameters[name] for name in self._names[self._index(layer, suffix)]}
        out, *last = self._layer(self._input(x, w), state, w, sizes, suffix != "")
        return out, tuple(last)

    def _index(self, layer: int, suffix: str) -> int:
        return layer * len(self._directions()) + (suffix != "")

    def _start(self, hx: Any, batch: int, unbatched: bool, order: Any, like: Any) -> list[Any]:
        """The first states (layers * directions, batch, H): zeros, or those given, checked and in the packed order."""
        name, count = self._get_name(), self.num_layers * len(self._directions())
        widths = [self.proj_size or self.hidden_size, self.hidden_size][: self._states]
        if hx is None:
            dtype = array_of(like).dtype
            return [creation.zeros((count, batch, width), dtype=dtype) for width in widths]
        given = (hx,) if self._states == 1 else hx
        if not isinstance(given, (tuple, list)) or len(given) != self._states:
            raise ShapeError(f"{name}: the state must be {'a tensor' if self._states == 1 else 'a pair (h, c)'}")
        states = []
        for x, width in zip(given, widths, strict=True):
            want = (count, width) if unbatched else (count, batch, width)
            if shape_of(x) != want:
                raise ShapeError(f"{name}: expected a state of shape {want}, got {shape_of(x)}")
            if array_of(x).dtype != array_of(like).dtype:
                raise DtypeError(f"{name}: an input of dtype {array_of(like).dtype} and a state of {array_of(x).dtype}")
            x = unsqueeze(x, 1) if unbatched else x
            states.append(x if order is None else index_select(x, 1, order))
        return states

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(output, last state): see the class."""
        name, packed = self._get_name(), isinstance(input, PackedSequence)
        order, back, unbatched = None, None, False
        x, first, steps = input, False, 0
        if packed:
            x, counts, order, back = input
            sizes: Sizes = tuple([int(n) for n in counts.array])
            batch = sizes[0]
        else:
            unbatched = len(shape_of(x)) == 2
            if len(shape_of(x)) not in (2, 3):
                raise ShapeError(f"{name}: expected an input of 2 or 3 axes, got {shape_of(x)}")
            first = self.batch_first and not unbatched
            lead = (*shape_of(x)[:-1], 1)[:2]
            batch, steps = lead if first else lead[::-1]
            if steps == 0:
                raise ShapeError(f"{name}: expected a sequence of at least one step, got an input {shape_of(input)}")
        if shape_of(x)[-1] != self.input_size:
            raise ShapeError(f"{name}: expected {self.input_size} features in the last axis, got {shape_of(x)}")
        if not packed:  # its rows step after step
            x = reshape(transpose(x, 0, 1) if first else x, (steps * batch, self.input_size))
            sizes = (batch,) * steps
        states = [unbind(s, 0) for s in self._start(hx, batch, unbatched, order, x)]
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = dropout(x, self.dropout)
            outputs = []
            for suffix in self._directions():
                k = self._index(layer, suffix)
                out, state = self._run(x, tuple([s[k] for s in states]), layer, suffix, sizes)
                outputs.append(out)
                last.append(state)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, -1)
        finals = [stack(list(parts), 0) for parts in zip(*last, strict=True)]
        if packed:
            x = PackedSequence(x, input.batch_sizes, order, back)
            finals = finals if back is None else [index_select(s, 1, back) for s in finals]
        elif unbatched:
            finals = [squeeze(s, 1) for s in finals]
        else:
            x = reshape(x, (steps, batch, shape_of(x)[-1]))
            x = transpose(x, 0, 1) if first else x
            x = called(x, self._node_name(first, x.dtype))
        return x, finals[0] if self._states == 1 else tuple(finals)

    def _node_name(self, first: bool, dtype: Any) -> str:
        """What PyTorch calls the node of the output; the 32-bit LSTM is one kernel there."""
        whole = self._states == 2 and dtype is float32
        if first:
            return f"TransposeBackward{0 if whole else 1}"
        return "CatBackward0" if self.bidirectional else "MkldnnRnnLayerBackward0" if whole else "StackBackward0"

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        text = f"{self.input_size}, {self.hidden_size}"
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        options = [f", {key}={getattr(self, key)}" for key, value in usual.items() if getattr(self, key) != value]
        return text + "".join(options)


class RNN(RNNBase):
    """Layers of h_t = tanh(x_t W_ih^T + b_ih + h_{t-1} W_hh^T + b_hh), or relu.

    Shapes: input (T, N, input_size), (N, T, input_size) with `batch_first`, (T, input_size) for a single sequence, or a
    `PackedSequence`; the state (num_layers * directions, N, hidden_size), 0 if not given; output (T, N, directions *
    hidden_size), the last layer's h_t of all steps. `dropout` is between the layers.
    Source: J. Elman, "Finding structure in time" (1990).

    >>> layer = mt.nn.RNN(3, 4, num_layers=2)
    >>> output, h = layer(mt.zeros(5, 1, 3))
    >>> output.shape, h.shape
    (minitensor.Size([5, 1, 4]), minitensor.Size([2, 1, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ShapeError(f"RNN: nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity

    def _layer(self, x: Any, states: State, w: dict[str, Any], sizes: Sizes, reverse: bool) -> tuple[Any, ...]:
        how = {"relu": self.mode == "RNN_RELU", "sizes": sizes, "reverse": reverse}
        outs: tuple[Any, ...] = apply(RNN_LAYER, x, *states, w["weight_hh"], **how)
        return outs


class LSTM(RNNBase):
    """Layers of long short-term memories: see `minitensor.lstm_cell`.

    As `RNN`, with the state (h, c). With `proj_size` h is projected by weight_hr to that size.
    Sources: S. Hochreiter, J. Schmidhuber, "Long short-term memory" (1997); H. Sak et al., "Long short-term memory
    based recurrent neural network architectures for large vocabulary speech recognition" (2014), for the projection.

    >>> layer = mt.nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    >>> output, (h, c) = layer(mt.zeros(1, 5, 3))
    >>> output.shape, c.shape
    (minitensor.Size([1, 5, 8]), minitensor.Size([2, 1, 4]))
    """

    _gates = 4
    _states = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def _layer(self, x: Any, states: State, w: dict[str, Any], sizes: Sizes, reverse: bool) -> tuple[Any, ...]:
        weight, projection = w["weight_hh"], w.get("weight_hr")
        if projection is None:
            outs: tuple[Any, ...] = apply(LSTM_LAYER, x, *states, weight, sizes=sizes, reverse=reverse)
            return outs

        def cell(a: Any, h: Any, c: Any) -> tuple[Any, ...]:
            h, c = apply(LSTM_CELL, add(a, linear(h, weight)), c)
            return linear(h, projection), c

        return step_by_step(cell, x, states, sizes=sizes, reverse=reverse)


class GRU(RNNBase):
    """Layers of gated recurrent units: see `minitensor.gru_cell`. Otherwise as `RNN`.

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014).

    >>> layer = mt.nn.GRU(3, 4)
    >>> output, h = layer(mt.zeros(5, 3))
    >>> output.shape, h.shape
    (minitensor.Size([5, 4]), minitensor.Size([1, 4]))
    """

    _gates = 3

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ShapeError("GRU: proj_size is for LSTM only")
        super().__init__("GRU", *args, **kwargs)

    def _input(self, x: Any, w: dict[str, Any]) -> Any:
        return linear(x, w["weight_ih"], w.get("bias_ih"))

    def _layer(self, x: Any, states: State, w: dict[str, Any], sizes: Sizes, reverse: bool) -> tuple[Any, ...]:
        weight, bias = w["weight_hh"], w.get("bias_hh")
        if bias is None:
            bias = np.zeros(shape_of(weight)[0], array_of(weight).dtype)
        outs: tuple[Any, ...] = apply(GRU_LAYER, x, *states, weight, bias, sizes=sizes, reverse=reverse)
        return outs


class RNNCellBase(Module):
    """What the single steps share: weight_ih, weight_hh, bias_ih, bias_hh."""

    bias_ih: Any
    bias_hh: Any

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = whole(self._get_name(), "input_size", input_size, 0)
        self.hidden_size = whole(self._get_name(), "hidden_size", hidden_size, 0)
        self.bias = bias
        n = num_chunks * self.hidden_size
        where = {"device": device, "dtype": dtype}
        self.weight_ih = Parameter(creation.empty((n, self.input_size), **where))
        self.weight_hh = Parameter(creation.empty((n, self.hidden_size), **where))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(creation.empty(n, **where)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        _start_uniform(self, self.hidden_size)

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _zeros(self, input: Any) -> Any:
        return creation.zeros((*shape_of(input)[:-1], self.hidden_size), dtype=array_of(input).dtype)

    def _check(self, input: Any) -> None:
        shape = shape_of(input)
        if len(shape) not in (1, 2) or shape[-1] != self.input_size:
            raise ShapeError(
                f"{self._get_name()}: expected an input (N, {self.input_size}) or ({self.input_size}), got {shape}"
            )

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        text = f"{self.input_size}, {self.hidden_size}"
        text += "" if self.bias else f", bias={self.bias}"
        kind = getattr(self, "nonlinearity", "tanh")
        return text if kind == "tanh" else f"{text}, nonlinearity={kind}"


class RNNCell(RNNCellBase):
    """One step h' = tanh(x W_ih^T + b_ih + h W_hh^T + b_hh), or relu.

    Shapes: input (N, input_size), h (N, hidden_size), 0 if not given; or both without N.

    >>> mt.nn.RNNCell(3, 4)(mt.zeros(2, 3)).shape
    minitensor.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ShapeError(f"RNNCell: nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next state."""
        self._check(input)
        run = cells.rnn_tanh_cell if self.nonlinearity == "tanh" else cells.rnn_relu_cell
        return run(input, self._zeros(input) if hx is None else hx, *self._weights())


class LSTMCell(RNNCellBase):
    """One step of a long short-term memory: see `minitensor.lstm_cell`.

    >>> h, c = mt.nn.LSTMCell(3, 4)(mt.zeros(2, 3))
    >>> h.shape
    minitensor.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """The next (h, c)."""
        self._check(input)
        hx = (self._zeros(input), self._zeros(input)) if hx is None else hx
        return cells.lstm_cell(input, hx, *self._weights())


class GRUCell(RNNCellBase):
    """One step of a gated recurrent unit: see `minitensor.gru_cell`.

    >>> mt.nn.GRUCell(3, 4)(mt.zeros(2, 3)).shape
    minitensor.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next state."""
        self._check(input)
        return cells.gru_cell(input, self._zeros(input) if hx is None else hx, *self._weights())
