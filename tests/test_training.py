"""fit, evaluate, predict, summary: against a loop written out, and on senseless input."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.training import History, Progress, accuracy, evaluate, fit, predict, summary
from minitensor.utils.data import DataLoader, Dataset, TensorDataset


def data(n: int = 10, classes: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 4)).astype(np.float32)
    return mt.tensor(x), mt.tensor(rng.integers(0, classes, n))


def network() -> nn.Module:
    mt.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def weights(model: nn.Module) -> list[Any]:
    return [p.detach().numpy().copy() for p in model.parameters()]


def equal(a: list[Any], b: list[Any]) -> bool:
    return all((x == y).all() for x, y in zip(a, b, strict=True))


# --- what fit does --------------------------------------------------------------------------------


def test_fit_is_the_loop_that_it_says() -> None:
    x, y = data(10)
    model = network()
    optimizer = mt.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        total = 0.0
        for i in range(0, 10, 4):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[i : i + 4]), y[i : i + 4])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y[i : i + 4])
        losses.append(total / 10)

    fitted = network()
    optimizer = mt.optim.SGD(fitted.parameters(), lr=0.1)
    options: Any = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": False}
    history = fit(fitted, (x, y), "cross_entropy", optimizer, **options)
    assert equal(weights(fitted), weights(model))
    assert history["loss"] == pytest.approx(losses, rel=1e-12)
    assert history.epoch == [0, 1, 2]


def test_the_same_seed_gives_the_same_bits() -> None:
    results = []
    for _ in range(2):
        model = network()
        fit(model, data(50), epochs=2, batch_size=8, verbose=False)
        results.append(weights(model))
    assert equal(*results)


class Rows(Dataset[Any]):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        x, y = data(10)
        return x[i], y[i]


class Walk:
    """Batches out of nothing but __iter__, of unequal sizes."""

    def __iter__(self) -> Any:
        x, y = data(10)
        yield x[:4], y[:4]
        yield x[4:8].numpy(), y[4:8].numpy()
        yield [x[8:], y[8:]]


@pytest.mark.parametrize(
    "form",
    [
        lambda: data(10),
        lambda: tuple(t.numpy() for t in data(10)),
        lambda: tuple(t.tolist() for t in data(10)),
        lambda: (data(10)[0].numpy().astype(np.float64), data(10)[1].numpy()),
        lambda: TensorDataset(*data(10)),
        lambda: DataLoader(TensorDataset(*data(10)), batch_size=4),
        Rows,
        Walk,
    ],
)
def test_every_form_of_data_gives_the_same_weights(form: Any) -> None:
    want, got = network(), network()
    options: Any = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": False}
    fit(want, data(10), "cross_entropy", "sgd", **options)
    fit(got, form(), "cross_entropy", "sgd", **options)
    assert equal(weights(got), weights(want))
    assert evaluate(got, form(), batch_size=4) == evaluate(want, data(10), batch_size=4)


@pytest.mark.parametrize("loss", ["cross_entropy", nn.CrossEntropyLoss(), nn.functional.cross_entropy])
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_names_stand_for_functions(loss: Any, name: str) -> None:
    model, same = network(), network()
    kinds: Any = {"adam": mt.optim.Adam, "adamw": mt.optim.AdamW, "sgd": mt.optim.SGD}
    options = {"lr": 0.01} if name == "sgd" else {}
    by_name = fit(model, data(), loss, name, shuffle=False, verbose=False)
    optimizer = kinds[name](same.parameters(), **options)
    made = fit(same, data(), "cross_entropy", optimizer, shuffle=False, verbose=False)
    assert by_name.history == made.history


@pytest.mark.parametrize(
    ("loss", "y"),
    [("mse", 2.0), ("l1", 2.0), ("huber", 2.0), ("smooth_l1", 2.0), ("bce_with_logits", 1.0)],
)
def test_losses_by_name(loss: str, y: float) -> None:
    x = mt.ones(4, 2)
    model = nn.Linear(2, 1)
    adam = mt.optim.Adam(model.parameters(), lr=0.05)
    history = fit(model, (x, mt.full((4, 1), y)), loss, adam, epochs=100, verbose=False)
    assert history["loss"][-1] < 0.1 * history["loss"][0]


def test_the_last_batch_counts_by_its_rows() -> None:
    x = mt.tensor([[0.0]] * 4 + [[10.0]])
    found = evaluate(nn.Identity(), (x, mt.zeros(5, 1)), "mse", batch_size=4, metrics=())
    assert found == {"loss": 20.0}
    assert evaluate(nn.Identity(), (x, mt.zeros(5, 1)), "mse", batch_size=5, metrics=()) == found


def test_several_inputs() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(mt.zeros(1))

        def forward(self, a: Any, b: Any) -> Any:
            return self.w * (a + b)

    a, b = mt.rand(20, 1), mt.rand(20, 1)
    model = Sum()
    adam = mt.optim.Adam(model.parameters(), lr=0.1)
    fit(model, (a, b, 3 * (a + b)), "mse", adam, epochs=100, batch_size=20, verbose=False)
    assert model.w.item() == pytest.approx(3, abs=0.05)
    assert predict(model, (a, b, a)).shape == (20, 1)


# --- metrics, validation, modes, callbacks --------------------------------------------------------


def test_accuracy() -> None:
    logits = mt.tensor([[0.1, 0.9], [0.8, 0.2]])
    assert accuracy(logits, mt.tensor([1, 1])) == 0.5
    assert accuracy(mt.tensor([[0.6], [0.4]]), mt.tensor([1.0, 0.0])) == 1.0
    assert accuracy(mt.zeros(2, 3, 4, 4), mt.zeros(2, 4, 4, dtype=mt.int64)) == 1.0
    with pytest.raises(mt.errors.ShapeError, match=r"outputs \(2, 3\) and targets \(4,\)"):
        accuracy(mt.zeros(2, 3), mt.zeros(4))


@pytest.mark.parametrize("loss", ["bce_with_logits", nn.BCEWithLogitsLoss()])
def test_accuracy_of_logits_splits_at_0(loss: Any) -> None:
    x = mt.tensor([[0.2], [-0.2]])
    found = evaluate(nn.Identity(), (x, mt.tensor([[1.0], [0.0]])), loss)
    assert found["accuracy"] == 1.0
    assert evaluate(nn.Identity(), (x, mt.tensor([[1.0], [0.0]])), "mse")["accuracy"] == 0.5


def test_metrics_and_validation_are_in_the_history() -> None:
    def largest(output: Any, target: Any) -> Any:
        return output.max()

    history = fit(network(), data(), validation_data=data(4), metrics=["accuracy", largest], verbose=False)
    assert list(history) == [
        "loss", "accuracy", "largest", "val_loss", "val_accuracy", "val_largest",
    ]  # fmt: skip
    assert len(history) == 6
    assert history.history["loss"] == history["loss"]


def test_modes_are_as_before() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    model[1].eval()
    seen: list[bool] = []
    model[0].register_forward_hook(lambda m, *_: seen.append(m.training))
    fit(model, data(4), validation_data=data(4), verbose=False)
    assert seen == [True, False]
    assert [m.training for m in model.modules()] == [True, True, False]
    model.eval()
    with pytest.raises(ZeroDivisionError):
        fit(model, data(4), callbacks=lambda epoch, logs: 1 / 0, verbose=False)
    assert not any(m.training for m in model.modules())


def test_evaluation_is_outside_the_graph_and_training_inside() -> None:
    model = network()
    seen: list[bool] = []
    model.register_forward_hook(lambda m, args, out: seen.append(out.requires_grad))
    with mt.no_grad():
        fit(model, data(4), validation_data=data(4), verbose=False)
    assert seen == [True, False]
    assert predict(model, data(4)[0]).requires_grad is False


def test_callbacks_hear_everything_and_may_stop() -> None:
    class Listener:
        heard: list[Any] = []  # noqa: RUF012

        def on_train_begin(self) -> None:
            self.heard.append("begin")

        def on_epoch_begin(self, epoch: int) -> None:
            self.heard.append(epoch)

        def on_batch_end(self, batch: int, logs: Any) -> None:
            self.heard.append((batch, *logs))

        def on_epoch_end(self, epoch: int, logs: Any) -> bool:
            self.heard.append((epoch, *logs))
            return epoch == 1

        def on_train_end(self) -> None:
            self.heard.append("end")

    listener = Listener()
    also: list[int] = []
    fit(
        network(),
        data(10),
        epochs=5,
        batch_size=6,
        callbacks=[listener, lambda epoch, logs: also.append(epoch)],
        verbose=False,
    )
    one = [(0, "loss"), (1, "loss")]
    assert listener.heard == ["begin", 0, *one, (0, "loss"), 1, *one, (1, "loss"), "end"]
    assert also == [0, 1]


def test_going_on_from_a_history() -> None:
    model = network()
    sgd = mt.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, data(), "cross_entropy", sgd, epochs=2, verbose=False)
    seen: list[int] = []
    same = fit(
        model, data(), "cross_entropy", sgd, epochs=4, history=history, verbose=False,
        callbacks=lambda epoch, logs: seen.append(epoch),
    )  # fmt: skip
    assert same is history
    assert seen == [2, 3]
    assert len(history["loss"]) == 4
    fit(model, data(), "cross_entropy", sgd, epochs=4, history=history, verbose=False)
    assert history.epoch == [0, 1, 2, 3]


def test_history() -> None:
    assert repr(History()) == "<History of 0 epochs>"
    h = History({"loss": [2.0, 1.0], "accuracy": [0.5, 0.75]})
    assert repr(h) == "<History of 2 epochs: loss 1, accuracy 75.0%>"
    assert dict(h) == h.history
    with pytest.raises(mt.errors.ShapeError, match=r"different lengths \[1, 2\]"):
        History({"a": [1.0], "b": [1.0, 2.0]})
    with pytest.raises(ValueError, match="has"):
        h.append({"loss": 1.0})


def test_one_line_an_epoch_without_a_terminal(capsys: Any) -> None:
    fit(network(), data(), epochs=10, metrics="accuracy", validation_data=data())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert re.match(r"epoch  9/10  0\.\d s  loss \d", lines[8])
    assert all(name in lines[0] for name in (" accuracy ", " val_loss ", " val_accuracy ", "%", " s"))
    fit(network(), data(), verbose=False)
    assert capsys.readouterr().out == ""


def test_a_bar_on_a_terminal(monkeypatch: Any, capsys: Any) -> None:
    pytest.importorskip("tqdm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    class Slow(Walk):
        def __len__(self) -> int:
            return 3

        def __iter__(self) -> Any:
            for batch in super().__iter__():
                time.sleep(0.12)  # tqdm draws ten times a second
                yield batch

    fit(network(), Slow(), epochs=2, validation_data=data())
    out = capsys.readouterr().out
    assert re.search(r"\repoch 1/2  \S+ +2/3, loss \d", out)
    assert re.search(r"\repoch 1/2  \d\.\d s  loss \S+ val_loss \d", out)


# --- predict and summary --------------------------------------------------------------------------


def test_predict() -> None:
    model = network()
    x, y = data(10)
    want = model(x).detach().numpy()
    for given in (x, x.numpy(), (x, y), DataLoader(TensorDataset(x, y), 3), [(x[0], y[0])] * 1):
        got = predict(model, given, batch_size=3).numpy()
        assert np.allclose(got, want[: len(got)], atol=1e-6)
        assert len(got) in (1, 10)


def test_summary_with_shapes() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sequential(nn.ReLU(), nn.Flatten()), nn.Linear(144, 2, bias=False))
    model[0].bias.requires_grad = False
    table = summary(model, (5, 1, 8, 8))
    assert (table.total, table.trainable) == (40 + 288, 36 + 288)
    assert table.rows == [
        ("", "Sequential", (5, 2), 0),
        ("0", "Conv2d", (5, 4, 6, 6), 40),
        ("1", "Sequential", (5, 144), 0),
        ("1.0", "ReLU", (5, 4, 6, 6), 0),
        ("1.1", "Flatten", (5, 144), 0),
        ("2", "Linear", (5, 2), 288),
    ]
    lines = str(table).splitlines()
    assert lines[3] == "0 Conv2d      (5, 4, 6, 6)          40"
    assert lines[-1] == "328 parameters, 324 of them trained, 1.3 KB"


def test_summary_without_shapes_and_with_shared_parameters() -> None:
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    b.weight = a.weight
    table = summary(nn.ModuleList([a, b]))
    assert table.total == 8
    assert [row[2] for row in table.rows] == [None] * 3
    assert "output" not in str(table)


def test_summary_of_indices_and_of_several_inputs() -> None:
    class Two(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a + b

    assert summary(nn.Embedding(5, 2), (3,), dtype=mt.int64).rows[0][2] == (3, 2)
    assert summary(Two(), [(3, 1), (1, 4)]).rows[0][2] == (3, 4)


def test_summary_changes_nothing() -> None:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.5))
    before, state = mt.get_rng_state().numpy().copy(), model[0].running_mean.numpy().copy()
    summary(model, (4, 2, 3, 3))
    assert model.training
    assert (model[0].running_mean.numpy() == state).all()
    assert (mt.get_rng_state().numpy() == before).all()
    assert not model[0]._hooks


# --- what makes no sense --------------------------------------------------------------------------

X, Y = data(6)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ((X, Y[:5]), ValueError, "x and y must have as many rows, but have 6 and 5"),
        ((X[:0], Y[:0]), ValueError, "the data is empty"),
        ([], ValueError, "the data is empty"),
        ((X,), ValueError, "expected .x, y., got a tuple of 1"),
        ((X, mt.tensor(1)), ValueError, "a number without axes"),
        (X, TypeError, "got x alone"),
        (X.numpy(), TypeError, "got x alone"),
        (7, TypeError, "got int"),
        (iter([(X, Y)]), TypeError, "walked through only once"),
        (DataLoader(X, batch_size=2), TypeError, r"a batch must be \(x, y\)"),
        (DataLoader(TensorDataset(X, Y), batch_size=9, drop_last=True), ValueError, "no batches"),
    ],
)
def test_data_that_makes_no_sense(given: Any, error: Any, says: str) -> None:
    model = network()
    before = weights(model)
    for call in (fit, evaluate):
        options = {"verbose": False} if call is fit else {}
        with pytest.raises(error, match=says):
            call(model, given, **options)  # type: ignore[operator]
    assert equal(weights(model), before)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"epochs": -1}, ValueError, "epochs must be an integer of at least 0, not -1"),
        ({"epochs": 1.5}, ValueError, "epochs must be"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1, not 0"),
        ({"batch_size": True}, ValueError, "batch_size must be"),
        ({"loss": "cross"}, ValueError, "loss 'cross' is not one of bce, "),
        ({"loss": 3}, TypeError, "must be a name or a function, not int"),
        ({"loss": lambda y, t: y}, ValueError, r"one number, not of shape \(6, 3\)"),
        ({"loss": lambda y, t: 1.0}, ValueError, "one number, not float"),
        ({"optimizer": "adman"}, ValueError, "optimizer 'adman' is not one of adam, adamw, sgd"),
        ({"optimizer": 3}, TypeError, "must be one of mt.optim or its name, not int"),
        ({"metrics": ["acc"]}, ValueError, "metric 'acc' is neither"),
        ({"validation_data": (X, Y[:2])}, ValueError, "fit: validation_data: x and y must have"),
    ],
)
def test_options_that_make_no_sense(options: Any, error: Any, says: str) -> None:
    model = network()
    before = weights(model)
    with pytest.raises(error, match=says):
        fit(model, (X, Y), **{"verbose": False, **options})
    assert equal(weights(model), before)


def test_a_model_that_returns_no_tensor() -> None:
    class Pair(nn.Module):
        def forward(self, x: Any) -> Any:
            return x, x

    with pytest.raises(TypeError, match="the model must return a tensor, not a tuple"):
        predict(Pair(), X)
    with pytest.raises(TypeError, match="expected a Module, got int"):
        summary(3)


def test_a_loss_that_is_lost_is_told(capsys: Any) -> None:
    history = fit(network(), (X * math.inf, Y))
    assert math.isnan(history["loss"][0])
    assert "loss nan" in capsys.readouterr().out


@pytest.mark.parametrize("shuffle", [False, True])
def test_tensors_in_memory_come_in_the_loaders_batches(shuffle):
    x, y = mt.randn(10, 2), mt.arange(10)
    seen = []

    def loss(output, target):
        seen.append(target.tolist())
        return output.sum() * 0

    model = mt.nn.Linear(2, 1)
    mt.manual_seed(3)
    mt.fit(model, (x, y), loss, epochs=2, batch_size=4, shuffle=shuffle, verbose=False)
    drawn = mt.rand(1)
    mt.manual_seed(3)
    loader = mt.utils.data.DataLoader(mt.utils.data.TensorDataset(x, y), 4, shuffle)
    assert seen == [batch[1].tolist() for _ in range(2) for batch in loader]
    assert mt.rand(1) == drawn  # and as much was drawn for them


def test_a_progress_of_ones_own():
    class Lines(Progress):
        live = True

        def step(self, logs):
            lines.append(sorted(logs))

        def end(self, logs):
            lines.append("end")

        def close(self):
            lines.append("close")

    lines = []
    mt.fit(mt.nn.Linear(1, 1), (mt.ones(4, 1), mt.ones(4, 1)), "mse", batch_size=2, verbose=lambda *where: Lines())
    assert lines == [["loss"], ["loss"], "end", "close"]
