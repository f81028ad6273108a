"""One run of `minitensor train`: train, keep a checkpoint, draw, and be able to go on.

The checkpoint is written before the first epoch and after each. It holds all that the rest of the
run depends on (weights, the optimizer's state, the generator of random numbers, the settings), so
that a run which was interrupted anywhere ends with the same bits as one which was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .. import cpu, optim, random
from ..nn import Module
from ..nn.functional import softmax
from ..serialization import load, save
from ..training import History, fit, predict
from ..utils.data import DataLoader
from .data import SOURCES, Augmented, Split
from .models import MODELS

CHECKPOINT = "checkpoint.safetensors"
PREVIOUS = "previous.safetensors"  # the checkpoint of the run that was in the folder before
WEIGHT_DECAY = 0.01


class RunError(Exception):
    """What stops a run, in words for the user."""


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a run. The number of threads does not."""

    data: str
    model: str
    epochs: int
    batch_size: int
    lr: float
    seed: int
    kernels: str
    isa: str


def settings(asked: Mapping[str, Any]) -> Settings:
    """The settings of a new run: those asked for (not None), and the defaults of the data set."""
    given = {name: value for name, value in asked.items() if value is not None}
    data = given.get("data", "digits")
    source = SOURCES[data]
    defaults = {
        "data": data,
        "model": source.model,
        "epochs": source.epochs,
        "batch_size": source.batch_size,
        "lr": source.lr,
        "seed": 0,
        "kernels": "fast" if cpu.rung() == "reference" else cpu.rung(),
        "isa": cpu.isa(),
    }
    return Settings(**{**defaults, **given})


def resumed(asked: Mapping[str, Any], state: Any, path: Path) -> Settings:
    """The settings of the run whose checkpoint this is; whatever is asked for must agree."""
    kept = state.get("settings") if isinstance(state, dict) else None
    if not isinstance(kept, dict) or kept.keys() != {f.name for f in fields(Settings)}:
        raise RunError(f"{path} was not written by minitensor train")
    if kept["data"] not in SOURCES or kept["model"] not in MODELS:
        raise RunError(f"{path} holds a {kept['model']} for {kept['data']}, unknown here")
    for name, value in asked.items():
        if value is not None and value != kept[name]:
            option = name.replace("_", "-")
            raise RunError(
                f"the run in {path.parent} was begun with --{option} {kept[name]}, not {value}; "
                f"leave out --{option} to go on with it, or leave out --resume to begin a new one"
            )
    if kept["isa"] not in cpu.isas():
        raise RunError(
            f"the run in {path.parent} was begun with --isa {kept['isa']}, which this machine "
            "cannot run: its numbers cannot be continued here"
        )
    return Settings(**kept)


class Run:
    """A network, its data and its training, in a folder. As a callback of `fit` it keeps them."""

    def __init__(self, settings: Settings, folder: Path, split: Split) -> None:
        self.settings, self.folder, self.split = settings, folder, split
        cpu.kernels(settings.kernels)
        cpu.use(settings.isa)
        random.manual_seed(settings.seed)
        self.model: Module = MODELS[settings.model](split.shape, len(split.classes))
        self.optimizer = optim.AdamW(self.model.parameters(), lr=settings.lr, weight_decay=WEIGHT_DECAY)
        self.history = History()

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    @property
    def title(self) -> str:
        return f"{self.settings.data}, {self.settings.model}"

    @property
    def epochs_done(self) -> int:
        return len(self.history.epoch)

    def save(self) -> None:
        """Writes the checkpoint."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": random.get_rng_state(),
            "epoch": self.epochs_done,
            "history": self.history.history,
            "settings": asdict(self.settings),
        }
        save(state, self.checkpoint)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts everything back to where a checkpoint was written."""
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            random.set_rng_state(state["rng"])
            self.history = History(state["history"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunError(f"{self.checkpoint} does not hold such a run: {error}") from None

    def on_epoch_begin(self, epoch: int) -> None:
        """The learning rate falls along half a cosine (I. Loshchilov, F. Hutter, "SGDR", 2017)."""
        for group in self.optimizer.param_groups:
            fallen = 0.5 * (1 + math.cos(math.pi * epoch / self.settings.epochs))
            group["lr"] = self.settings.lr * fallen

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Keeps what was reached, unless it makes no sense any more."""
        if not math.isfinite(logs["loss"]):
            raise RunError(
                f"the loss is {logs['loss']} after epoch {epoch + 1}; try a smaller --lr than {self.settings.lr:g}"
            )
        self.save()

    def train(self) -> None:
        """The epochs that are left."""
        train, augment = self.split.train, SOURCES[self.settings.data].augment
        fit(
            self.model,
            Augmented(train, augment) if augment else train,
            "cross_entropy",
            self.optimizer,
            epochs=self.settings.epochs,
            batch_size=self.settings.batch_size,
            validation_data=self.held_back(),
            metrics="accuracy",
            callbacks=[self],
            history=self.history,
        )

    def held_back(self) -> DataLoader[Any]:
        return DataLoader(self.split.test, batch_size=256)

    def probabilities(self) -> Any:
        """The network's answer to each picture held back: (count, classes)."""
        return softmax(predict(self.model, self.held_back()).double(), 1).numpy()

    def draw(self, probabilities: Any) -> dict[str, str]:
        """Writes the pictures; {file: what it shows}."""
        from ..learn import plot

        test, title = self.split.test, f"{self.title}: {self.split.held_back}"
        first = next(p for p in self.model.parameters() if p.ndim > 1)
        said = probabilities.argmax(1)
        changed = SOURCES[self.settings.data].augment is not None
        drawn = {
            "curves.png": (
                plot.curves(self.history, self.title),
                "the loss and the accuracy" + (", in training of the changed pictures" * changed),
            ),
            "confusion.png": (
                plot.confusion(test.labels, said, test.classes, title),
                "what was read as what",
            ),
            "filters.png": (
                plot.filters(first.detach(), self.split.shape, f"{self.title}: the first layer"),
                "the weights of the first layer",
            ),
            "mistakes.png": (
                plot.mistakes(test[:][0], test.labels, probabilities, test.classes, title),
                "the worst mistakes, and the answers it was least sure of",
            ),
        }
        for name, (axes, _) in drawn.items():
            plot.save(axes, self.folder / name)
        return {name: what for name, (_, what) in drawn.items()}


def begin(asked: Mapping[str, Any], out: Path | None, resume: bool) -> Run:
    """A new run or, with `resume`, the one in the folder as it was at its last checkpoint.

    The checkpoint is written before the first epoch: that a folder cannot be written to is not
    found out after an hour.
    """
    data = asked["data"] or "digits"
    name = f"{data}-{asked['model'] or SOURCES[data].model}"
    folder = out or Path("runs") / name
    path = folder / CHECKPOINT
    if resume:
        if not path.exists():
            raise RunError(f"there is no {path} to go on from; leave out --resume to begin a run")
        state = load(path)
        chosen = resumed(asked, state, path)
        run = Run(chosen, folder, SOURCES[chosen.data].load(chosen.seed))
        run.restore(state)
        return run
    folder.mkdir(parents=True, exist_ok=True)
    chosen = settings(asked)
    run = Run(chosen, folder, SOURCES[chosen.data].load(chosen.seed))
    if path.exists():
        path.replace(folder / PREVIOUS)
    run.save()
    return run
