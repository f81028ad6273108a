"""Optimizers under Keras's names, with its defaults and its formulas, around those of `minitensor.optim`.

Where Keras's formula is another way to write the engine's, the engine's kernel runs: Adam's epsilon is added before
the correction, sqrt(v) + epsilon, which is the engine's eps / sqrt(1 - beta_2^t); SGD's velocity holds the rate,
v = -lr b. RMSprop and Adagrad have epsilon under the root, and so a line of their own.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from typing import Any

from ... import optim
from ...autograd import no_grad
from ...nn.utils import clip_grad_norm_, clip_grad_value_
from ...optim.optimizer import sqrt
from ..layers.base import default_name
from ..tf.tensor import Tensor, Variable
from . import schedules

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Nadam", "Optimizer", "RMSprop", "schedules"]


class Optimizer:
    """The base of all optimizers. `learning_rate` is a variable, and may be assigned to.

    `build(weights)` makes the engine's optimizer; `step` and `zero_grad` are its.
    """

    slots = 0  # how many numbers are kept for each weight

    def __init__(
        self,
        learning_rate: Any,
        name: str | None = None,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        **others: Any,
    ) -> None:
        if "decay" in others:
            del others["decay"]
            warnings.warn("Argument `decay` is no longer supported and will be ignored.", stacklevel=3)
        self.weight_decay, self.clipnorm, self.clipvalue = weight_decay, clipnorm, clipvalue
        self.global_clipnorm = global_clipnorm
        self._schedule = learning_rate if isinstance(learning_rate, schedules.LearningRateSchedule) else None
        learning_rate = learning_rate if self._schedule is None else self._schedule(0)
        if others:
            raise ValueError(f"Argument(s) not recognized: {others}")
        self.name = name or default_name(type(self).__name__)
        self._learning_rate = Variable(float(learning_rate), trainable=False, name="learning_rate", dtype="float32")
        self.iterations = 0
        self.engine: Any = None
        self.restored = False
        self._count = 0

    @property
    def learning_rate(self) -> Any:
        """The size of a step, a variable."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._learning_rate.assign(value)

    @property
    def built(self) -> bool:
        """Whether it was used, or read from a file."""
        return self.engine is not None or self.restored

    def _make(self, parameters: list[Any]) -> Any:
        raise NotImplementedError

    def build(self, variables: Iterable[Variable]) -> None:
        """Starts the state for these weights, unless it was started before."""
        parameters = [v.leaf for v in variables]
        if self.engine is None:
            self._count = sum(p.numel() for p in parameters)
            self.engine = self._make(parameters)
        known = {id(p) for group in self.engine.param_groups for p in group["params"]}
        if not known.issuperset(map(id, parameters)):
            raise ValueError(f"{self.name}: was used for other weights; a new optimizer is needed for these")

    def count_params(self) -> int:
        """How many numbers its state has: those of each weight, the count of steps and the rate."""
        return 2 + self.slots * self._count

    def _rate(self, group: dict[str, Any], rate: float) -> None:
        group["lr"] = rate

    def step(self) -> None:
        """Changes the weights by their gradients."""
        if self._schedule is not None:
            self._learning_rate.assign(self._schedule(self.iterations))
        rate = float(self._learning_rate.leaf.array)
        self._clip([p for group in self.engine.param_groups for p in group["params"] if p.grad is not None], rate)
        self.iterations += 1
        for group in self.engine.param_groups:
            self._rate(group, rate)
        self.engine.step()

    def _clip(self, parameters: list[Any], rate: float) -> None:
        """What is done before a step: gradients cut to a size, weights made smaller."""
        with no_grad():
            if self.clipnorm is not None:
                for p in parameters:
                    clip_grad_norm_([p], self.clipnorm)
            if self.global_clipnorm is not None:
                clip_grad_norm_(parameters, self.global_clipnorm)
            if self.clipvalue is not None:
                clip_grad_value_(parameters, self.clipvalue)
            if self.weight_decay:
                for p in parameters:
                    p.mul_(1 - rate * self.weight_decay)

    def zero_grad(self) -> None:
        """Drops the gradients."""
        self.engine.zero_grad()

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> None:
        """One step with gradients that a tape gave: pairs of a gradient and its variable.

        >>> from minitensor.keras import tf, optimizers
        >>> v = tf.Variable(1.0)
        >>> optimizers.SGD(0.5).apply_gradients([(tf.constant(2.0), v)])
        >>> v.numpy()
        np.float32(0.0)
        """
        pairs = list(grads_and_vars)
        self.build([v for _, v in pairs])
        with no_grad():
            for g, v in pairs:
                value = None if g is None else g.value if isinstance(g, Tensor) else Tensor(g).value
                v.leaf.grad = None if value is None else v.stored(value)
        self.step()
        self.zero_grad()

    def get_config(self) -> dict[str, Any]:
        """What a saved model keeps of it."""
        return {"name": self.name, "learning_rate": float(self._learning_rate.leaf.array)}


class SGD(Optimizer):
    """v = momentum v - lr g;  w += v, or with nesterov w += momentum v - lr g.

    >>> from minitensor.keras import optimizers
    >>> optimizers.SGD(learning_rate=0.1).learning_rate.numpy()
    np.float32(0.1)
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str | None = None,
        **others: Any,
    ) -> None:
        super().__init__(learning_rate, name, **others)
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD: momentum must lie between 0 and 1, not {momentum}")
        self.momentum, self.nesterov = float(momentum), bool(nesterov)
        self.slots = int(momentum != 0)

    def _make(self, parameters: list[Any]) -> Any:
        nesterov = self.nesterov and self.momentum > 0
        return optim.SGD(parameters, lr=0.0, momentum=self.momentum, nesterov=nesterov)

    def _rate(self, group: dict[str, Any], rate: float) -> None:
        before = group["lr"]
        if self.momentum and rate != before and rate:
            for state in self.engine.state.values():
                state["momentum_buffer"].array[...] *= before / rate
        super()._rate(group, rate)

    def get_config(self) -> dict[str, Any]:
        """With momentum."""
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """m += (1-b1)(g-m);  v += (1-b2)(g^2-v);  w -= lr sqrt(1-b2^t)/(1-b1^t) m / (sqrt(v) + epsilon).

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization" (2015), the second form of its algorithm.

    >>> from minitensor.keras import optimizers
    >>> optimizers.Adam().learning_rate.numpy()
    np.float32(0.001)
    """

    slots = 2

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        name: str | None = None,
        **others: Any,
    ) -> None:
        super().__init__(learning_rate, name, **others)
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)
        self.amsgrad = bool(amsgrad)

    def _make(self, parameters: list[Any]) -> Any:
        return optim.Adam(parameters, betas=(self.beta_1, self.beta_2), amsgrad=self.amsgrad)

    def _rate(self, group: dict[str, Any], rate: float) -> None:
        super()._rate(group, rate)
        group["eps"] = self.epsilon / math.sqrt(1 - self.beta_2**self.iterations)

    def get_config(self) -> dict[str, Any]:
        """With the means' weights."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class AdamW(Adam):
    """Adam, with the weights made smaller by rate times `weight_decay` before each step."""

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, **others: Any) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **others)


class Nadam(Adam):
    """Adam with Nesterov's momentum, which grows as beta_1 (1 - 0.96^t / 2).

    Source: T. Dozat, "Incorporating Nesterov momentum into Adam" (2016).
    """

    def _make(self, parameters: list[Any]) -> Any:
        return optim.NAdam(parameters, betas=(self.beta_1, self.beta_2), eps=self.epsilon, momentum_decay=1.0)

    def _rate(self, group: dict[str, Any], rate: float) -> None:
        group["lr"] = rate


class Adamax(Adam):
    """Adam by the largest gradients: u = max(beta_2 u, |g|);  w -= lr / (1 - beta_1^t) m / (u + epsilon)."""

    def _make(self, parameters: list[Any]) -> Any:
        return optim.Adamax(parameters, betas=(self.beta_1, self.beta_2), eps=self.epsilon)

    def _rate(self, group: dict[str, Any], rate: float) -> None:
        group["lr"] = rate


class _RMSprop(optim.RMSprop):
    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        s["square_avg"] = v = group["alpha"] * s["square_avg"] + (1 - group["alpha"]) * g * g
        if group["centered"]:
            s["grad_avg"] = mean = group["alpha"] * s["grad_avg"] + (1 - group["alpha"]) * g
            v = v - mean * mean
        step = group["lr"] * g / sqrt(v + group["eps"])
        if group["momentum"] > 0:
            s["momentum_buffer"] = step = group["momentum"] * s["momentum_buffer"] + step
        return p - step


class RMSprop(Optimizer):
    """v = rho v + (1-rho) g^2;  w -= lr g / sqrt(v + epsilon); with momentum b = momentum b + that, w -= b.

    >>> from minitensor.keras import optimizers
    >>> optimizers.RMSprop(0.01).rho
    0.9
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        name: str | None = None,
        **others: Any,
    ) -> None:
        super().__init__(learning_rate, name, **others)
        self.rho, self.momentum, self.epsilon = float(rho), float(momentum), float(epsilon)
        self.centered = bool(centered)
        self.slots = 1 + (momentum > 0) + centered

    def _make(self, parameters: list[Any]) -> Any:
        how: dict[str, Any] = {
            "alpha": self.rho,
            "eps": self.epsilon,
            "momentum": self.momentum,
            "centered": self.centered,
        }
        return _RMSprop(parameters, **how)

    def get_config(self) -> dict[str, Any]:
        """With the mean's weight."""
        return {**super().get_config(), "rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon}


class _Adagrad(optim.Adagrad):
    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        s["sum"] = total = s["sum"] + g * g
        return p - group["lr"] * g / sqrt(total + group["eps"])


class Adagrad(Optimizer):
    """a += g^2, from `initial_accumulator_value`;  w -= lr g / sqrt(a + epsilon).

    >>> from minitensor.keras import optimizers
    >>> optimizers.Adagrad().initial_accumulator_value
    0.1
    """

    slots = 1

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        name: str | None = None,
        **others: Any,
    ) -> None:
        super().__init__(learning_rate, name, **others)
        self.initial_accumulator_value, self.epsilon = float(initial_accumulator_value), float(epsilon)

    def _make(self, parameters: list[Any]) -> Any:
        start = self.initial_accumulator_value
        return _Adagrad(parameters, initial_accumulator_value=start, eps=self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """With the beginning of the sums."""
        start = self.initial_accumulator_value
        return {**super().get_config(), "initial_accumulator_value": start, "epsilon": self.epsilon}


class Adadelta(Optimizer):
    """a = rho a + (1-rho) g^2, d = sqrt(b + epsilon)/sqrt(a + epsilon) g, b = rho b + (1-rho) d^2;  w -= lr d.

    >>> from minitensor.keras import optimizers
    >>> optimizers.Adadelta().rho
    0.95
    """

    slots = 2

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        name: str | None = None,
        **others: Any,
    ) -> None:
        super().__init__(learning_rate, name, **others)
        self.rho, self.epsilon = float(rho), float(epsilon)

    def _make(self, parameters: list[Any]) -> Any:
        return optim.Adadelta(parameters, rho=self.rho, eps=self.epsilon)

    def get_config(self) -> dict[str, Any]:
        """With the means' weight."""
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


_CLASSES = {cls.__name__.lower(): cls for cls in (SGD, Adam, AdamW, Adamax, Nadam, RMSprop, Adagrad, Adadelta)}


def get(identifier: Any) -> Optimizer:
    """A new optimizer of that name, with its defaults; an optimizer is itself.

    >>> from minitensor.keras import optimizers
    >>> optimizers.get("adam").beta_1
    0.9
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _CLASSES:
        return _CLASSES[identifier.lower()]()
    raise ValueError(f"Could not interpret optimizer identifier: {identifier}")
