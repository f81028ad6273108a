"""Pictures of computation graphs: `draw`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..creation import tensor
from ..errors import ArgumentError, DtypeError, GraphError, ShapeError
from ..graph import tensors
from ..nn import Module
from ..ops.common import raw
from ..pytree import leaves
from ..tensor import Tensor
from .canvas import Arrow, Page, Rectangle, Text, measure
from .layout import Point, place
from .picture import Edge, Picture, Run, Vertex, arrange, number
from .watching import watch

__all__ = ["Drawing", "draw"]

SHOWN = 6  # elements up to which an array is written out
BLUE, VERMILION, GREY = "#00558B", "#B84A00", "#666666"
FILLS = {"input": "#DCEBF7", "constant": "#F2F2F2", "operator": "#FFFFFF", "box": "#FFF6DA"}


def draw(
    what: Any,
    *inputs: Any,
    names: Any = None,
    derivatives: str = "all",
    group: str = "auto",
    limit: int = 40,
    gradient: Any = None,
    digits: int = 6,
    direction: str = "down",
) -> Drawing:
    """The computation graph of a tensor, or of a function at `inputs`, as a picture with values and derivatives.

    Each box shows its value and, in double braces, the derivative of the output by it; each edge the local derivative
    in brackets and, in double braces, its part of the accumulated one: [ ] times the {{ }} of the box that it leads to.
    A box's {{ }} is the sum over the edges that leave it. Constants are grey, and nothing is derived by them.

    what: a tensor that the graph led to, or a function (or module) that is called with `inputs`: tensors, arrays or
    numbers. If none of them requires a gradient, all that are floating do; a module's inputs stay as they are. Of a
    tensor that was not recorded under `mt.learn.watch()` only those values are known that the graph keeps or that
    follow from them.
    names: {name: tensor}, or a list of names for the inputs. Otherwise parameters, a module's names and the variables
    of the calling function name what they hold.
    derivatives: "none", "local" or "all". An output of several elements needs `gradient`, what it is multiplied by
    before the derivative is taken, as in `backward`; else it has none in double braces.
    group: "operators" draws each by itself, except inside a `box`; "modules" draws each innermost module as one box;
    "auto" does as the first, or where that makes more than `limit` boxes, takes modules, or stages of operators that
    follow one another.
    digits: significant ones of single numbers; arrays have at most four. direction: "down" or "right".

    Raises GraphError for a tensor without a graph, or whose graph an earlier backward has freed, and
    ModuleNotFoundError where the packages of the extra `examples` are absent.

    >>> drawing = mt.learn.draw(lambda x: mt.log(x**2 + 1), 3.0)
    >>> print(drawing)
    x = 3  {{0.6}}
    ( )² = 9  {{0.1}}  from x [6] {{0.6}}
    1
    + = 10  {{0.1}}  from ( )² [1] {{0.1}}, 1
    log = 2.30259  {{1}}  from + [0.1] {{0.1}}
    >>> drawing.formula
    'log(x² + 1)'
    """
    for given, known in ((derivatives, ("none", "local", "all")), (group, ("auto", "modules", "operators"))):
        if given not in known:
            raise ArgumentError(f"draw: {given!r} is none of {', '.join(known)}")
    if direction not in ("down", "right"):
        raise ArgumentError(f"draw: the direction is 'down' or 'right', not {direction!r}")
    known_names = _names(names, inputs if isinstance(names, (list, tuple)) else ())
    if isinstance(what, Tensor):
        if inputs:
            raise ArgumentError("draw: inputs belong to a function; a tensor has its graph already")
        outputs = [what]
        _name_variables(known_names, sys._getframe(1).f_locals)
    elif callable(what):
        outputs = _trace(what, inputs, names, known_names)
    else:
        raise DtypeError(f"draw: expected a tensor or a function, got {type(what).__name__}")
    for y in outputs:
        if not y.requires_grad:
            raise GraphError(
                "draw: the tensor has no graph: it does not depend on anything that requires gradients, or was made "
                "under no_grad; give its inputs requires_grad=True, or draw(function, inputs)"
            )
        if y.layer is not None:
            raise GraphError("draw: a tensor inside vmap or forward mode cannot be drawn; draw the function without it")
    run = Run(outputs)
    seeds = _seeds(outputs, gradient)
    groups = arrange(run, group, limit, known_names)
    picture = Picture(run, known_names, derivatives, seeds, groups)
    return Drawing(picture, digits, direction)


def _names(names: Any, inputs: Sequence[Any]) -> dict[Any, str]:
    """{id of a tensor: its name}."""
    if isinstance(names, Mapping):
        for name, x in names.items():
            if not isinstance(x, Tensor) or not isinstance(name, str):
                raise ArgumentError("draw: names are {name: tensor}, or a list of the inputs' names")
        return _with_places({id(x): name for name, x in names.items()}, names)
    if names is not None and len(names) != len(inputs):
        raise ArgumentError(f"draw: {len(names)} names for {len(inputs)} inputs")
    return {}


def _with_places(found: dict[Any, str], variables: Mapping[str, Any]) -> dict[Any, str]:
    """The names, also by the place in the graph of what has one."""
    for name, x in variables.items():
        if isinstance(x, Tensor) and x.node is not None:
            found.setdefault((x.node, x.index), name)
    return found


def _name_variables(found: dict[Any, str], variables: Mapping[str, Any]) -> None:
    """Adds the names that a program gives to tensors, and those of its modules' parameters."""
    for name, x in variables.items():
        if name.startswith("_"):
            continue
        if isinstance(x, Tensor):
            found.setdefault(id(x), name)
        elif isinstance(x, Module):
            _name_module(found, x, name)
    _with_places(found, {n: x for n, x in variables.items() if not n.startswith("_")})


def _name_module(found: dict[Any, str], module: Any, name: str = "") -> None:
    dot = f"{name}." if name else ""
    for inner, p in [*module.named_parameters(), *module.named_buffers()]:
        found.setdefault(id(p), dot + inner)
    for inner, m in module.named_modules():
        found.setdefault(id(m), inner or name)


def _trace(function: Callable[..., Any], inputs: Sequence[Any], names: Any, found: dict[Any, str]) -> list[Any]:
    """The outputs of a function, watched."""
    given = [x if isinstance(x, Tensor) else _tensor(x) for x in inputs]
    wants = not isinstance(function, Module) and not any(x.requires_grad for x in given)
    variables = []
    with enable_grad():
        for x in given:
            leaf = x.node is None and x.is_floating_point() and (wants or x.requires_grad)
            variables.append(tensors.as_leaf(x.detach()) if leaf else x)
        with watch():
            y = function(*variables)
    chosen = list(names) if isinstance(names, (list, tuple)) else _parameters(function, len(given))
    for old, x, name in zip(given, variables, chosen, strict=True):
        found[id(x)] = found.get(id(old), name)
    if isinstance(function, Module):
        _name_module(found, function)
    elif inspect.isfunction(function):
        outside = inspect.getclosurevars(function)
        _name_variables(found, {**outside.globals, **outside.nonlocals})
    outputs = [x for x in leaves(y) if isinstance(x, Tensor)]
    if not outputs:
        raise GraphError(f"draw: the function returned {type(y).__name__}, not a tensor")
    return outputs


def _tensor(x: Any) -> Any:
    """An input that is not a tensor: a number in double precision, an array as it is."""
    if isinstance(x, (int, float)) and not isinstance(x, bool):
        return tensor(np.float64(x))
    return tensor(x)


def _parameters(function: Any, count: int) -> list[str]:
    """The names of a function's parameters, as many as there are inputs."""
    try:
        own = function.forward if isinstance(function, Module) else function
        named = [p.name for p in inspect.signature(own).parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        named = []
    return [*named, *[f"x{k + 1}" for k in range(len(named), count)]][:count]


def _seeds(outputs: list[Any], gradient: Any) -> dict[Any, Any]:
    """What the walk back begins with; nothing where there are several outputs, or elements, and no gradient."""
    if len(outputs) > 1:
        if gradient is not None:
            raise ArgumentError(f"draw: one gradient for {len(outputs)} outputs; draw one of them, or their sum")
        return {}
    (y,) = outputs
    if gradient is None:
        return {(y.node or y, y.index): np.ones_like(y.array)} if y.array.size == 1 else {}
    g = np.asarray(raw(gradient), y.array.dtype)
    if g.shape != y.array.shape:
        raise ShapeError(f"draw: a gradient of shape {g.shape} for an output of shape {y.array.shape}")
    return {(y.node or y, y.index): g}


class Drawing:
    """A drawn graph: shown by a notebook, written by `save`, and as text by `print`.

    vertices, edges: what is shown, with values and derivatives as arrays. page: where it is.
    """

    def __init__(self, picture: Picture, digits: int = 6, direction: str = "down") -> None:
        self.vertices: list[Vertex] = picture.vertices
        self.edges: list[Edge] = picture.edges
        self._digits, self._sideways = digits, direction == "right"
        self._derivatives = picture.derivatives if picture.total or picture.derivatives != "all" else "local"
        self.page = self._page()

    @property
    def svg(self) -> str:
        """The picture as the text of an SVG document."""
        return self.page.svg()

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: Any) -> Path:
        """Writes the picture to a file, .svg or .png; returns its path. PNG needs matplotlib."""
        file = Path(path)
        if file.suffix == ".svg":
            file.write_text(self.svg, encoding="utf-8")
        elif file.suffix == ".png":
            self.page.png(file)
        else:
            raise ArgumentError(f"save: {file.name} is neither .svg nor .png")
        return file

    # --- as text ---

    def __str__(self) -> str:
        lines = []
        for at, vertex in enumerate(self.vertices):
            value, braces = self._value(vertex), self._braces(vertex.derivative)
            line = self._title(vertex) + (f" = {' '.join(value)}" if value else "")
            line += f"  {' '.join(braces)}" if braces else ""
            into = []
            for edge in self.edges:
                if edge.target == at:
                    label = " ".join(self._bracket(edge) + self._braces(edge.derivative))
                    into.append(f"{self._title(self.vertices[edge.source])} {label}".strip())
            lines.append(line + (f"  from {', '.join(into)}" if into else ""))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Drawing of {len(self.vertices)} boxes and {len(self.edges)} edges>"

    @property
    def formula(self) -> str:
        """The output as a formula of the inputs, read off the graph; long ones are cut."""
        into: dict[int, list[int]] = {}
        for edge in self.edges:
            into.setdefault(edge.target, []).append(edge.source)
        written: list[tuple[str, int]] = []
        for at, vertex in enumerate(self.vertices):
            written.append(_formula(vertex, [written[k] for k in into.get(at, ())]))
        found = [text for (text, _), v in zip(written, self.vertices, strict=True) if v.is_output]
        return ", ".join(found)

    # --- as a picture ---

    def _title(self, vertex: Vertex) -> str:
        sources = [self.vertices[e.source] for e in self.edges if self.vertices[e.target] is vertex]
        if vertex.title in "−÷" and len(sources) == 2:  # which of the two comes first
            first, second = [v.title if v.kind in ("input", "constant") else v.name or "( )" for v in sources]
            if (first, second) != ("( )", "( )"):
                return f"{vertex.name}{': ' if vertex.name else ''}{first} {vertex.title} {second}"
        if vertex.kind in ("operator", "box") and vertex.name and vertex.name != vertex.title:
            return f"{vertex.name}: {vertex.title}"
        return vertex.title

    def _value(self, vertex: Vertex) -> list[str]:
        if vertex.value is None:
            return []
        shape, dtype, array = vertex.value
        if array is None or array.size > SHOWN or not array.size:
            return [_size(shape) + ("" if dtype.startswith("float") else f" {dtype}")]
        return self._rows(array, "(", ")")

    def _braces(self, derivative: Any) -> list[str]:
        if derivative is None or derivative.size > SHOWN or not derivative.size:
            return []
        return self._rows(derivative, "{{", "}}")

    def _bracket(self, edge: Edge) -> list[str]:
        if edge.shape is None or self._derivatives == "none":
            return []
        if edge.local is not None and edge.local.size <= SHOWN:
            return self._rows(edge.local, "[", "]")
        vertex = self.vertices[edge.target]
        large = vertex.kind == "box" and edge.local is None
        return [] if large else [f"[{_size(edge.shape if edge.local is None else edge.local.shape)}]"]

    def _rows(self, array: Any, left: str, right: str) -> list[str]:
        """A number, a vector on a line, or a matrix line by line."""
        if array.size == 1:
            bare = left == "("
            text = number(array.item(), self._digits)
            return [text if bare else left + text + right]
        rows = array.reshape(-1, array.shape[-1])
        lines = [", ".join(number(x, min(4, self._digits)) for x in row.tolist()) for row in rows]
        return [left + line + right for line in lines]

    def _page(self) -> Page:
        def turn(p: Point) -> Point:
            return (p[1], p[0]) if self._sideways else p

        texts = [self._text(v) for v in self.vertices]
        labels = []
        for edge in self.edges:
            braces = self._braces(edge.derivative)
            lines = [(t, 10.0, BLUE, False) for t in self._bracket(edge)]
            labels.append([*lines, *[(t, 10.0, VERMILION, False) for t in braces]])
        sizes = [(max(34.0, w + 16), h + 10) for w, h in map(measure, texts)]
        spaces = [
            (w + 6, h + 2) if lines else (2.0, 0.0) for lines, (w, h) in zip(labels, map(measure, labels), strict=True)
        ]
        pairs = [(e.source, e.target) for e in self.edges]
        placed = place([turn(s) for s in sizes], pairs, [turn(s) for s in spaces])
        width, height = turn((placed.width, placed.height))
        legend = self._legend(labels)
        below = measure(legend)[1] + 8 if legend else 0.0
        margin = 14.0
        page_width = max(width, measure(legend)[0]) + 2 * margin
        left = (page_width - width) / 2

        def put(p: Point) -> Point:
            x, y = turn(p)
            return x + left, y + margin

        page = Page(page_width, height + below + 2 * margin, self._caption())
        for edge, path in zip(self.edges, placed.paths, strict=True):
            dead = not edge.wants
            page.items.append(Arrow([put(p) for p in path], "#9A9A9A" if dead else "#444444", dead, self._sideways))
        for vertex, centre, (w, h), lines in zip(self.vertices, placed.boxes, sizes, texts, strict=True):
            x, y = put(centre)
            quiet = vertex.kind == "constant"
            colour = "#AAAAAA" if quiet else "#444444"
            page.items.append(Rectangle(x, y, w, h, FILLS[vertex.kind], colour, 1.2, quiet, vertex.is_output))
            page.items.append(Text(x, y, lines))
        for centre, lines in zip(placed.labels, labels, strict=True):
            if lines:
                page.items.append(Text(*put(centre), lines, "white"))
        if legend:
            page.items.append(Text(page_width / 2, margin + height + 8 + measure(legend)[1] / 2, legend))
        return page

    def _text(self, vertex: Vertex) -> list[tuple[str, float, str, bool]]:
        """The lines in a box."""
        lines = [(self._title(vertex), 12.0, GREY if vertex.kind == "constant" else "black", vertex.kind != "constant")]
        lines += [(t, 11.0, "black", False) for t in self._value(vertex)]
        lines += [(t, 11.0, VERMILION, True) for t in self._braces(vertex.derivative)]
        return lines + [(t, 9.0, GREY, False) for t in vertex.note.split("\n") if t]

    def _legend(self, labels: list[Any]) -> list[tuple[str, float, str, bool]]:
        if not any(labels):
            return []
        lines = [("[ ]  local derivative: of the box at the arrow's end by the box at its beginning", 9.0, BLUE, False)]
        if self._derivatives == "all":
            text = (
                "{{ }}  derivative of the output: on an arrow [ ] times the {{ }} at its end; in a box the sum of these"
            )
            lines.append((text, 9.0, VERMILION, False))
        return lines

    def _caption(self) -> str:
        return f"Computation graph of {len(self.vertices)} boxes"


def _size(shape: Sequence[int]) -> str:
    """A shape in words: 2×3."""
    return "×".join(map(str, shape)) or "scalar"


BINDS = {"+": 1, "−": 1, "×": 2, "÷": 2, "@": 2}


def _formula(vertex: Vertex, given: list[tuple[str, int]]) -> tuple[str, int]:
    """(text, how strongly its last operator binds), from those of what it reads."""
    title = vertex.title
    if not given:
        return (title, 0 if title.startswith("−") else 9)
    if any(len(text) > 400 for text, _ in given):
        return "…", 9

    def inner(k: int, needs: int) -> str:
        text, binds = given[k]
        return text if binds >= needs else f"({text})"

    if title in BINDS and len(given) == 2:
        binds = BINDS[title]
        return f"{inner(0, binds)} {title} {inner(1, binds + (title in '−÷'))}", binds
    if title.startswith("( )"):
        return inner(0, 4) + title[3:], 3
    if title == "1 ÷ ( )":
        return "1 ÷ " + inner(0, 3), 2
    if title == "−( )":
        return "−" + inner(0, 2), 1
    return f"{title}({', '.join(text for text, _ in given)})", 9
