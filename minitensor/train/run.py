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
from ..datasets.transforms import Transformed
from ..nn import CrossEntropyLoss, Module
from ..nn.functional import softmax
from ..serialization import load, save
from ..training import History, fit, predict
from ..utils.data import DataLoader
from .data import SOURCES, RunError, Split, source_of
from .models import MODELS, OF_ROWS, RATES, Whitening

__all__ = ["CHECKPOINT", "PREVIOUS", "Run", "RunError", "Settings", "begin", "resumed", "settings"]

CHECKPOINT = "checkpoint.safetensors"
PREVIOUS = "previous.safetensors"  # the checkpoint of the run that was in the folder before
SEEN_BEFORE = 2000 * 32 * 32  # pixels, of 2,000 pictures at most, from which the axes of a whitening are read


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
    data = given["data"]
    source = source_of(data)
    model = given.get("model", source.model)
    defaults = {
        "data": data,
        "model": model,
        "epochs": source.epochs,
        "batch_size": source.batch_size,
        "lr": RATES.get(model, source.lr),
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
    if kept["model"] not in MODELS:
        raise RunError(f"{path} holds a {kept['model']} for {kept['data']}, unknown here")
    source_of(kept["data"])
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


class Answers(Module):
    """A network as it is asked: when it learns, for all classes; otherwise for the first `classes`, and, if `mirrored`,
    for the mean of what it says to a picture and to its mirror image."""

    def __init__(self, network: Module, classes: int, mirrored: bool) -> None:
        super().__init__()
        self.network, self.classes, self.mirrored = network, classes, mirrored

    def forward(self, x: Any) -> Any:
        y = self.network(x)
        if self.training:
            return y
        if self.mirrored:
            y = (y + self.network(x.flip(-1))) / 2
        return y[:, : self.classes]


class Run:
    """A network, its data and its training, in a folder. As a callback of `fit` it keeps them."""

    def __init__(self, settings: Settings, folder: Path, split: Split) -> None:
        self.settings, self.folder, self.split = settings, folder, split
        cpu.kernels(settings.kernels)
        cpu.use(settings.isa)
        random.manual_seed(settings.seed)
        self.source = source_of(settings.data)
        if len(split.shape) == 1 and settings.model not in OF_ROWS:
            raise RunError(
                f"{settings.model} takes pictures; for {settings.data} choose --model {' or '.join(OF_ROWS)}"
            )
        classes = len(split.classes)
        self.model: Module = MODELS[settings.model](split.shape, classes + split.others)
        self.answers = Answers(self.model, classes, self.source.mirrored)
        # the weights of a layer decay, its biases and the sizes of a normalisation do not
        parts: tuple[list[Any], list[Any]] = ([], [])
        for parameter in self.model.parameters():
            parts[parameter.ndim < 2].append(parameter)
        groups = [
            {"params": part, "weight_decay": decay}
            for part, decay in zip(parts, (self.source.weight_decay, 0.0), strict=True)
            if part
        ]
        self.optimizer = optim.AdamW(groups, lr=settings.lr)
        self.history = History()
        self.batches = math.ceil(len(split.train) / settings.batch_size)

    def look(self) -> None:
        """Before the first step: the layers that begin with what the pictures are."""
        for layer in self.model.modules():
            if isinstance(layer, Whitening):
                _, rows, columns = self.split.shape
                count = min(2000, max(1, SEEN_BEFORE // (rows * columns)))
                layer.adapt(next(iter(DataLoader(self.split.train, count)))[0])

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    @property
    def title(self) -> str:
        return f"{Path(self.settings.data).name}, {self.settings.model}"

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
        self._set_rate(epoch, 0)

    def on_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        self._set_rate(self.epochs_done, batch + 1)

    def _set_rate(self, epoch: int, batch: int) -> None:
        """The learning rate rises in a line, if at all, then falls along half a cosine.

        Source: I. Loshchilov, F. Hutter, "SGDR" (2017).
        """
        done, rise = (epoch + batch / self.batches) / self.settings.epochs, self.source.rise
        share = done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.lr * share

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Keeps what was reached, unless it makes no sense any more."""
        if not math.isfinite(logs["loss"]):
            raise RunError(
                f"the loss is {logs['loss']} after epoch {epoch + 1}; try a smaller --lr than {self.settings.lr:g}"
            )
        self.save()

    def train(self) -> None:
        """The epochs that are left."""
        train, change = self.split.train, self.source.augment
        fit(
            self.answers,
            Transformed(train, change) if change else train,
            CrossEntropyLoss(label_smoothing=self.source.smoothing),
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
        """The network's answer to each of those held back: (count, classes)."""
        return softmax(predict(self.answers, self.held_back()).double(), 1).numpy()

    def draw(self, probabilities: Any) -> dict[str, str]:
        """Writes the pictures; {file: what it shows}."""
        from ..learn import plot

        test, title = self.split.test, f"{self.title}: {self.split.held_back}"
        said = probabilities.argmax(1)
        learnt = " of the changed pictures" if self.source.augment is not None else ""
        learnt += f" in all {len(test.classes) + self.split.others} classes" if self.split.others else ""
        every = f" (training: all {len(test.classes) + self.split.others} classes)" * bool(self.split.others)
        drawn = {
            "curves.png": (
                plot.curves(self.history, self.title + every),
                "the loss and the accuracy" + f", in training{learnt}" * bool(learnt),
            ),
            "confusion.png": (
                plot.confusion(test.labels, said, test.classes, title),
                "what was read as what",
            ),
        }
        drawn |= (
            self._draw_pictures(probabilities, title)
            if len(self.split.shape) == 3
            else self._draw_texts(probabilities, title)
        )
        for name, (axes, _) in drawn.items():
            plot.save(axes, self.folder / name)
        return {name: what for name, (_, what) in drawn.items()}

    def _draw_pictures(self, probabilities: Any, title: str) -> dict[str, tuple[Any, str]]:
        from ..learn import plot

        test = self.split.test
        whitening = next((m for m in self.model.modules() if isinstance(m, Whitening)), None)
        if whitening is None:
            first, what = (
                next(p.detach() for p in self.model.parameters() if p.ndim > 1),
                "the weights of the first layer",
            )
        else:
            first, what = whitening.axes, "how neighbouring pixels vary: what the first layer sees"
        return {
            "filters.png": (
                plot.filters(first, self.split.shape, f"{self.title}: {what.removeprefix('the weights of ')}"),
                what,
            ),
            "mistakes.png": (
                plot.mistakes(lambda i: test[i][0], test.labels, probabilities, test.classes, title),
                "the worst mistakes, and the answers it was least sure of",
            ),
        }

    def _draw_texts(self, probabilities: Any, title: str) -> dict[str, tuple[Any, str]]:
        from ..learn import plot

        test = self.split.test
        return {
            "words.png": (
                plot.words(self.pull(), test.weights.vocabulary, test.classes, f"{self.title}: what counts"),
                "the words and pairs of words that decide most",
            ),
            "mistakes.png": (
                plot.mistaken_texts(test.texts, test.labels, probabilities, test.classes, title),
                "the worst mistakes",
            ),
        }

    def pull(self) -> Any:
        """How much each number of a row moves the answer from the first class to the last: of one matrix the weights,
        of other networks the derivative at the mean row."""
        rows = next(iter(self.held_back()))[0]
        x = rows.mean(0, keepdim=True).requires_grad_()
        self.answers.eval()
        y = self.answers(x)
        (y[0, -1] - y[0, 0]).backward()
        return x.grad[0]


def begin(asked: Mapping[str, Any], out: Path | None, resume: bool) -> Run:
    """A new run or, with `resume`, the one in the folder as it was at its last checkpoint.

    The checkpoint is written before the first epoch: that a folder cannot be written to is not
    found out after an hour.
    """
    if asked["data"] is None and not (resume and out):
        raise RunError(f"which data? one of {', '.join(SOURCES)}, or a folder of pictures")
    folder = out or Path("runs") / f"{Path(asked['data']).name}-{asked['model'] or source_of(asked['data']).model}"
    path = folder / CHECKPOINT
    if resume:
        if not path.exists():
            raise RunError(f"there is no {path} to go on from; leave out --resume to begin a run")
        state = load(path)
        chosen = resumed(asked, state, path)
        run = Run(chosen, folder, source_of(chosen.data).load(chosen.seed))
        run.restore(state)
        return run
    folder.mkdir(parents=True, exist_ok=True)
    chosen = settings(asked)
    run = Run(chosen, folder, source_of(chosen.data).load(chosen.seed))
    run.look()
    if path.exists():
        path.replace(folder / PREVIOUS)
    run.save()
    return run
