"""Models and weights in files, in Keras's own layouts.

    .h5           one HDF5 file: the configuration as JSON in attributes, the weights in groups by layer
    .keras        a zip of config.json, metadata.json and model.weights.h5
    .weights.h5   HDF5, weights alone: layers/LAYER/vars/0, 1, ...
    .npz          NumPy's zip of arrays, in the order of `get_weights` (arr_0, arr_1, ...)

HDF5 is read and written by h5py (the extra `keras`). Without it, what is written under the first three names is a zip
of config.json and NumPy arrays, with a warning: it is read again here, with h5py or without, and not by Keras. What a
file is, is told by its first bytes, not by its name. No file can run code.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import json
import re
import time
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import initializers, layers, losses, optimizers, regularizers
from .layers.base import snake_case
from .layers.merging import Merge

_HDF5 = b"\x89HDF\r\n\x1a\n"
_VERSION = "3.10.0"  # of Keras, whose layouts these are


def _h5py(path: Any) -> Any:
    try:
        return importlib.import_module("h5py")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{path} is an HDF5 file, for which h5py is missing: pip install 'minitensor-edu[keras]'", name="h5py"
        ) from None


def _have_h5py(path: Any) -> bool:
    if importlib.util.find_spec("h5py") is not None:
        return True
    warnings.warn(
        f"h5py is not installed: {path} is written as a zip of NumPy arrays, which minitensor reads and Keras does "
        "not; pip install 'minitensor-edu[keras]'",
        stacklevel=4,
    )
    return False


def _target(filepath: Any, overwrite: bool) -> Path:
    path = Path(filepath)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists, and overwrite is False")
    return path


# --- weights ----------------------------------------------------------------------------------------------------------


def _places(model: Any) -> Iterator[tuple[str, Any]]:
    """(path in a weights file, variable) of every weight: a layer is called by its class, numbered in the model."""
    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = snake_case(type(layer).__name__)
        n = counts[kind] = counts.get(kind, -1) + 1
        for i, variable in enumerate(layer.weights):
            yield f"layers/{kind}{f'_{n}' if n else ''}/vars/{i}", variable


def _weights_hdf5(model: Any) -> bytes:
    out = io.BytesIO()
    with _h5py("model.weights.h5").File(out, "w") as file:
        for path, variable in _places(model):
            file[path] = variable.numpy()
    return out.getvalue()


def _weights_npz(model: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **{path: variable.numpy() for path, variable in _places(model)})
    return out.getvalue()


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes the weights of a model to `.weights.h5` or `.npz`."""
    path, name = _target(filepath, overwrite), str(filepath)
    if name.endswith(".npz"):
        with open(path, "wb") as file:
            np.savez(file, *model.get_weights())
    elif name.endswith(".weights.h5"):
        path.write_bytes(_weights_hdf5(model) if _have_h5py(path) else _weights_npz(model))
    else:
        raise ValueError(f"The name of a file of weights ends in `.weights.h5` or `.npz`, not so {name}")


def load_weights(model: Any, filepath: Any) -> None:
    """Gives a model the weights of a file of any of the four kinds, in their order.

    Raises ValueError for a model whose weights are not made yet, and where number or shapes differ.
    """
    if not model.built:
        raise ValueError(f"The model {model.name} has no weights yet: it needs an Input, or to be called once")
    model.set_weights(_read_weights(model, Path(filepath).read_bytes(), filepath))


def _read_weights(model: Any, data: bytes, path: Any) -> list[Any]:
    if data.startswith(_HDF5):
        with _h5py(path).File(io.BytesIO(data), "r") as file:
            if "layers" in file or "vars" in file:
                return [_found(file, place, path) for place, _ in _places(model)]
            return _read_legacy(file["model_weights"] if "model_weights" in file else file, path)
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError(f"{path} is neither an HDF5 file nor a zip of arrays")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        inner = next((n for n in archive.namelist() if n.startswith("model.weights.")), None)
        if inner is not None:
            return _read_weights(model, archive.read(inner), f"{path}/{inner}")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        if any(name.startswith("layers/") for name in arrays.files):
            return [_found(arrays, place, path) for place, _ in _places(model)]
        return [arrays[name] for name in arrays.files]


def _found(file: Any, place: str, path: Any) -> Any:
    if place not in file:
        raise ValueError(f"{path} has no {place}: it was made by a model of other layers")
    return np.asarray(file[place])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_legacy(group: Any, path: Any) -> list[Any]:
    if "layer_names" not in group.attrs:
        raise ValueError(f"{path} is an HDF5 file without the weights of a Keras model")
    found = []
    for name in map(_text, group.attrs["layer_names"]):
        layer = group[name]
        found += [np.asarray(layer[_text(weight)]) for weight in layer.attrs["weight_names"]]
    return found


# --- models -----------------------------------------------------------------------------------------------------------


def config_of(model: Any) -> dict[str, Any]:
    """The model as Keras describes it: each layer's class and arguments; of a functional one, what each is fed."""
    described = model.get_config()
    sequential = type(model).__name__ == "Sequential"
    for layer in described["layers"]:
        layer["module"] = "keras.layers"
    if sequential:
        return {"module": "keras", "class_name": "Sequential", "config": described}
    fed = {node.layer.name: [_history(before) for before in node.inputs] for node in model._nodes}
    if len(fed) < len(model._nodes):
        raise ValueError(f"A model that uses a layer twice cannot be described: {model.name}")
    for layer in described["layers"]:
        name = layer["name"] = layer["config"]["name"]
        before = fed.get(name, [])
        layer["inbound_nodes"] = [{"args": [before if len(before) > 1 else before[0]], "kwargs": {}}] if before else []
    places = [[[end.layer.name, 0, 0] for end in ends] for ends in (model.inputs, model.outputs)]
    inputs, outputs = (place[0] if len(place) == 1 else place for place in places)
    described |= {"input_layers": inputs, "output_layers": outputs}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": described}


def _history(tensor: Any) -> dict[str, Any]:
    config = {"keras_history": [tensor.layer.name, 0, 0], "dtype": "float32", "shape": tensor.shape}
    return {"class_name": "__keras_tensor__", "config": config}


def _compile_config(model: Any) -> dict[str, Any] | None:
    if model.optimizer is None:
        return None
    made = model.optimizer
    optimizer = {"module": "keras.optimizers", "class_name": type(made).__name__, "config": made.get_config()}
    given = model.compiled_metrics
    names = [given] if isinstance(given, str) else [losses.identifier_of(metric) for metric in given or ()]
    return {"optimizer": optimizer, "loss": losses.identifier_of(model.loss), "metrics": names}


def save_model(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Writes a model to `.keras` or `.h5`: its layers, its weights, what it was compiled with."""
    name, path = str(filepath), _target(filepath, overwrite)
    if not name.endswith((".keras", ".h5", ".hdf5")):
        raise ValueError(f"The name of a saved model ends in `.keras` or `.h5`, not so {name}")
    config, compiled = config_of(model), _compile_config(model)
    have = _have_h5py(path)
    if have and not name.endswith(".keras"):
        _save_legacy(model, path, config, compiled)
        return
    whole = {**config, "compile_config": compiled} if compiled else config
    with zipfile.ZipFile(path, "w") as archive:
        when = time.strftime("%Y-%m-%d@%H:%M:%S")
        archive.writestr("metadata.json", json.dumps({"keras_version": _VERSION, "date_saved": when}))
        archive.writestr("config.json", json.dumps(whole))
        if have:
            archive.writestr("model.weights.h5", _weights_hdf5(model))
        else:
            archive.writestr("model.weights.npz", _weights_npz(model))


def _save_legacy(model: Any, path: Path, config: dict[str, Any], compiled: dict[str, Any] | None) -> None:
    with _h5py(path).File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = _VERSION, "tensorflow"
        file.attrs["model_config"] = json.dumps(config)
        if compiled:
            optimizer = compiled["optimizer"]
            about = {
                "loss_weights": None,
                "weighted_metrics": None,
                "optimizer_config": {"class_name": optimizer["class_name"], "config": optimizer["config"]},
            }
            file.attrs["training_config"] = json.dumps({**compiled, **about})
        group = file.create_group("model_weights")
        group.attrs["keras_version"], group.attrs["backend"] = _VERSION, "tensorflow"
        group.attrs["layer_names"] = [layer.name for layer in model.layers]
        for layer in model.layers:
            inner = group.create_group(layer.name)
            inner.attrs["weight_names"] = names = [f"{model.name}/{layer.name}/{w.name}" for w in layer.weights]
            for name, weight in zip(names, layer.weights, strict=True):
                inner[name] = weight.numpy()


def load_model(filepath: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """The model in a file that `save` wrote, or Keras: of a chain of the layers that there are here.

    `custom_objects` has the functions of a user's own activations, by their names. Raises ValueError for what cannot
    be rebuilt.
    """
    path = Path(filepath)
    if not path.is_file():
        raise FileNotFoundError(f"File not found: {filepath}")
    data = path.read_bytes()
    if data.startswith(_HDF5):
        with _h5py(path).File(io.BytesIO(data), "r") as file:
            if "model_config" not in file.attrs:
                raise ValueError(f"{path} has weights, and no model; `load_weights` reads them")
            config = json.loads(_text(file.attrs["model_config"]))
            about = json.loads(_text(file.attrs["training_config"])) if "training_config" in file.attrs else None
        if about is not None:
            about = {"optimizer": about.get("optimizer_config"), "loss": about["loss"], "metrics": about.get("metrics")}
    elif zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if "config.json" not in archive.namelist():
                raise ValueError(f"{path} is a zip without a model's config.json")
            config = json.loads(archive.read("config.json"))
        about = config.get("compile_config")
    else:
        raise ValueError(f"{path} is neither an HDF5 file nor a zip")
    model = rebuilt(config, dict(custom_objects or {}))
    model.set_weights(_read_weights(model, data, path))
    if compile and about:
        _compile(model, about)
        if model.optimizer is not None and not str(filepath).endswith(".keras"):
            model.optimizer.restored = True
    return model


def rebuilt(config: dict[str, Any], custom: dict[str, Any]) -> Any:
    """A new model of what `config_of` describes, or Keras. Raises ValueError for what cannot be made here."""
    from .models import Model, Sequential

    kind, inner = config["class_name"], config["config"]
    if isinstance(inner, list):  # of the oldest files
        inner = {"layers": inner}
    if kind == "Sequential":
        model = Sequential(name=inner.get("name"))
        for described in inner["layers"]:
            model.add(_layer(described, custom))
        return model
    if kind not in ("Functional", "Model"):
        raise ValueError(f"load_model: cannot make a {kind} model")
    waiting = {described["config"]["name"]: described for described in inner["layers"]}
    names = list(waiting)
    tensors: dict[str, Any] = {}
    while waiting:
        ready = None
        for name, described in waiting.items():
            nodes = described.get("inbound_nodes", [])
            fed = list(_names_in(nodes, names))
            if len(nodes) < 2 and all(before in tensors for before in fed):
                ready = name
                layer = _layer(described, custom)
                given = [tensors[before] for before in fed]
                many = len(given) > 1 or isinstance(layer, Merge)
                tensors[name] = layer(given if many else given[0]) if given else layer.output
                break
        if ready is None:
            raise ValueError("load_model: a model that uses a layer twice cannot be made")
        del waiting[ready]
    inputs, outputs = ([tensors[n] for n in _names_in(inner[f"{end}_layers"], names)] for end in ("input", "output"))
    return Model(
        inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0], name=inner.get("name")
    )


def _names_in(tree: Any, names: list[str]) -> Iterator[str]:
    """The layers' names in the description of what a layer is fed."""
    if isinstance(tree, dict):
        for value in tree.values():
            yield from _names_in(value, names)
    elif isinstance(tree, list):
        for value in tree:
            yield from _names_in(value, names)
    elif tree in names:
        yield tree


_DEFAULTS = (None, False, True, 1, [1], [1, 1], "channels_last", "float32")


def _layer(described: dict[str, Any], custom: dict[str, Any]) -> Any:
    kind = described["class_name"]
    cls = getattr(layers, kind, None) if kind in layers.__all__ and kind != "Lambda" else None  # a function is code
    if cls is None:
        raise ValueError(f"load_model: there is no layer {kind}")
    known = {p for c in cls.__mro__ if c is not object for p in inspect.signature(c.__init__).parameters}
    options: dict[str, Any] = {}
    for name, value in described["config"].items():
        if name == "batch_input_shape":
            options["input_shape"] = value[1:]
        elif name == "activation":
            activation = str(value.get("config") if isinstance(value, dict) else value)
            options[name] = custom.get(activation, activation)
        elif name.endswith("_initializer"):
            options[name] = _initializer(name, value)
        elif name.endswith("_regularizer"):
            options[name] = None if value is None else regularizers.Regularizer(**value["config"])
        elif name in known and name not in ("dtype", "noise_shape", "seed"):
            options[name] = tuple(value) if isinstance(value, list) else value
        elif name not in ("dtype", "seed") and value not in _DEFAULTS:
            raise ValueError(f"load_model: {kind} has no {name} here, but the file says {value!r}")
    return cls(**options)


def _initializer(name: str, value: Any) -> str:
    """The name of an initializer; of one that is not known, the default: the weights follow anyway."""
    kind = re.sub(r"_v\d$", "", snake_case(value["class_name"])) if isinstance(value, dict) else value
    try:
        initializers.check(kind)
    except ValueError:
        return "zeros" if name.startswith("bias") else "glorot_uniform"
    return str(kind)


def _compile(model: Any, about: dict[str, Any]) -> None:
    optimizer = about.get("optimizer")
    if isinstance(optimizer, dict):
        made = optimizers.get(optimizer["class_name"])
        known = inspect.signature(type(made).__init__).parameters
        options = {k: v for k, v in optimizer["config"].items() if k in known and k not in ("self", "others")}
        optimizer = type(made)(**options)
    given = about.get("metrics") or []
    names = [name for part in given for name in (part if isinstance(part, list) else [part])]
    try:
        model.compile(optimizer=optimizer or "rmsprop", loss=about.get("loss"), metrics=names)
    except ValueError as error:
        warnings.warn(f"load_model: the model is not compiled: {error}", stacklevel=3)
