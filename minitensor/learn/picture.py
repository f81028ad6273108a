"""What a picture of a computation graph has to show: its boxes and edges, with values and derivatives.

The conventions are those of "Deepmath" (A. Bodin, F. Recher), chapters 1 and 7. For F = f(u, v), u = g(x):

    on an edge  [df/du]    the local derivative: of the box at its end by the box at its beginning, by the operator's
                           own rule; between arrays the Jacobian matrix, or its diagonal where all else is 0
    {{dF/dx}}              the accumulated derivative: of the last box by this one. An edge's part is the product of
                           its [] with the {{ }} of the box at its end; that of a box is the sum over the edges that
                           leave it
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import GraphError
from ..graph import backward
from ..graph.nodes import Node
from ..graph.record import apply
from ..graph.tensors import Tensor
from ..op import SHAPE
from .watching import Record, Value, value_of

SYMBOLS = {
    "add": "+",
    "sub": "−",
    "mul": "×",
    "div": "÷",
    "neg": "−( )",
    "matmul": "@",
    "same": "=",
    "view_write": "write part",
    "square": "( )²",
    "reciprocal": "1 ÷ ( )",
}
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
JACOBIAN = 16  # elements up to which a box's value is differentiated by all of another's
STAGES = 16  # boxes of a summary


@dataclass
class Vertex:
    """A box: an input, a constant, an operator, or several operators drawn as one."""

    kind: str  # "input", "constant", "operator" or "box"
    title: str
    name: str = ""
    value: Value | None = None
    derivative: Any = None  # {{ }}, an array
    note: str = ""
    nodes: list[Any] = field(default_factory=list, repr=False)
    is_output: bool = False


@dataclass
class Edge:
    """An arrow from a box to one that reads its value."""

    source: int
    target: int
    local: Any = None  # [ ], an array: the Jacobian or its diagonal; None if it is large or none is asked for
    shape: tuple[int, ...] | None = None  # the Jacobian's
    derivative: Any = None  # {{ }}, an array: what this edge contributes
    passes: Value | None = None  # what goes along it
    wants: bool = False  # whether a gradient comes back along it
    index: int = 0  # which output of the source


def nodes_of(outputs: Iterable[Any]) -> list[Any]:
    """All operators that led to the outputs, each after those that it reads: in the order of recording, if known."""
    found: list[Any] = []
    seen: set[Any] = set()
    stack = [(y.node, False) for y in outputs if y.node is not None]
    while stack:
        node, done = stack.pop()
        if done:
            found.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(o, False) for o in reversed(node.inputs) if isinstance(o, Node) and o not in seen]
    records = [record_of(node) for node in found]
    if all(r is not None for r in records):
        found.sort(key=lambda node: record_of(node).order)  # type: ignore[union-attr]
    return found


def record_of(node: Any) -> Record | None:
    """What a `watch` noted of an operator."""
    return None if node.extra is None else node.metadata.get("learn")


def title_of(node: Any) -> str:
    """The operator's sign or name, with its exponent."""
    name, params = node.op.name, node.params
    if name == "pow_scalar":
        exponent = f"{params['exponent']:g}"
        return "( )" + (exponent.translate(RAISED) if set(exponent) <= set("0123456789-") else f"^{exponent}")
    return SYMBOLS.get(name) or re.sub("_(scalar|along|layer)$", "", name)


class Run:
    """The graph of some outputs: what is known of its values and derivatives."""

    def __init__(self, outputs: list[Any]) -> None:
        self.outputs = outputs
        self.nodes = nodes_of(outputs)
        self.readers: dict[Any, list[tuple[Any, int]]] = {}  # of an operator or leaf: (operator, argument)
        for node in self.nodes:
            for i, origin in enumerate(node.inputs):
                if origin is not None:
                    self.readers.setdefault(origin, []).append((node, i))
        self.values: dict[tuple[Any, int], Value] = {}
        self.constants: dict[tuple[Any, int], tuple[Any, Value]] = {}  # of (operator, argument)
        for node in self.nodes:
            record = record_of(node)
            if record is not None:
                self.values.update({(node, j): v for j, v in enumerate(record.outputs)})
                self.constants.update({(node, i): c for i, c in enumerate(record.arguments) if c is not None})
        for y in outputs:
            self._learn((y.node or y, y.index), y.array)
        for node in self.nodes:
            self._saved(node)
        for node in self.nodes:
            self._again(node)

    def _learn(self, key: tuple[Any, int], array: Any) -> None:
        if key not in self.values and (shown := value_of(array)) is not None:
            self.values[key] = shown

    def _saved(self, node: Any) -> None:
        """What the operator's rules keep: some of its arguments, its output."""
        for origin in node.inputs:
            if isinstance(origin, Tensor):
                self._learn((origin, 0), origin.array)
        for j, s in enumerate(node.saved or ()):
            if s is None or s.unpack is not None or (s.version is not None and s.version.value != s.number):
                continue
            if s.role >= 0 and node.inputs[s.role] is not None:
                self._learn((node.inputs[s.role], node.indices[s.role]), s.array)
            elif s.role < -1:
                self._learn((node, -2 - s.role), s.array)
            else:
                i = s.role if s.role >= 0 else node.op.saves[j] if j < len(node.op.saves) else SHAPE
                shown = value_of(s.array)
                if 0 <= i < len(node.inputs) and node.inputs[i] is None and shown is not None:
                    self.constants.setdefault((node, i), (s.array, shown))

    def _again(self, node: Any) -> None:
        """The value of an operator that nobody kept, from those of its arguments."""
        if (node, 0) in self.values or node.op.custom or node.outputs is not None or node.op.view:
            return
        given = []
        for i, (origin, j) in enumerate(zip(node.inputs, node.indices, strict=True)):
            known = self.values.get((origin, j)) if origin is not None else None
            if known is not None and known.array is not None:
                given.append(known.array)
            elif origin is None and (node, i) in self.constants:
                given.append(self.constants[node, i][0])
            else:
                return
        given = [x.array if isinstance(x, Tensor) else np.asarray(x) for x in given]
        first = next(x for origin, x in zip(node.inputs, given, strict=True) if origin is not None)
        given = [x.astype(first.dtype) if x.dtype.kind in "iub" and not x.ndim else x for x in given]
        self._learn((node, 0), apply(node.op, *given, **node.params))

    def accumulated(self, seeds: Mapping[tuple[Any, int], Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """{(operator or leaf, output): derivative} and {(operator, argument): its part in it}."""
        total: dict[Any, Any] = dict(seeds)
        part: dict[Any, Any] = {}
        for node in reversed(self.nodes):
            count = 1 if node.outputs is None else len(node.outputs)
            grads = [total.get((node, j)) for j in range(count)]
            if all(g is None for g in grads):
                continue
            for i, g in enumerate(backward.pull(node, grads)):
                if g is not None:
                    key = (node.inputs[i], node.indices[i])
                    part[node, i] = g
                    total[key] = g if key not in total else np.asarray(total[key] + g)
        return total, part

    def jacobian(self, inside: list[Any], output: tuple[Any, int], reads: list[tuple[Any, int]]) -> list[Any]:
        """Of one output of some operators (in order) by each place (operator, argument) where they read from outside.

        Each a matrix (outputs, inputs), or None where there is none; the sum over the paths inside alone.
        """
        shown = self.values[output]
        size = int(np.prod(shown.shape))
        rows: list[list[Any]] = [[] for _ in reads]
        members = set(inside)
        for k in range(size):
            g = np.zeros(size, shown.dtype)
            g[k] = 1
            total: dict[Any, Any] = {output: g.reshape(shown.shape)}
            found: dict[Any, Any] = {}
            for node in reversed(inside):
                count = 1 if node.outputs is None else len(node.outputs)
                grads = [total.get((node, j)) for j in range(count)]
                if all(g is None for g in grads):
                    continue
                for i, d in enumerate(backward.pull(node, grads)):
                    origin = node.inputs[i]
                    if d is None:
                        continue
                    if origin in members:
                        key = (origin, node.indices[i])
                        total[key] = d if key not in total else np.asarray(total[key] + d)
                    else:
                        found[node, i] = d
            for row, place in zip(rows, reads, strict=True):
                row.append(found.get(place))
        return [None if any(d is None for d in row) else np.stack([d.reshape(-1) for d in row]) for row in rows]


class Picture:
    """The boxes and edges of a run, with its operators grouped."""

    def __init__(self, run: Run, names: Mapping[Any, str], derivatives: str, seeds: Any, groups: list[Any]) -> None:
        self.run, self.names, self.derivatives = run, names, derivatives
        self.vertices: list[Vertex] = []
        self.edges: list[Edge] = []
        self.total, self.part = run.accumulated(seeds) if derivatives == "all" and seeds else ({}, {})
        for key, g in self.total.items():
            run.values.setdefault(key, Value(g.shape, str(g.dtype), None))
        self._at: dict[Any, int] = {}  # of an operator, a leaf, or a constant
        group_of = {node: g for g in groups for node in g.nodes}
        readers: dict[Any, set[int]] = {}
        for node in run.nodes:
            for i, origin in enumerate(node.inputs):
                key = origin if isinstance(origin, Tensor) else _key(run, node, i)
                if key is not None and not isinstance(origin, Node):
                    readers.setdefault(key, set()).add(id(group_of.get(node, node)))
        self._hidden = {key for key, who in readers.items() if len(who) == 1}
        done: set[int] = set()
        for node in run.nodes:
            group = group_of.get(node)
            if group is None:
                self._operator(node)
            elif id(group) not in done and node is group.nodes[-1]:
                done.add(id(group))
                self._box(group)
        for y in run.outputs:
            if y.node is None:
                self._leaf(y)
            self.vertices[self._at[y.node or y]].is_output = True

    def _vertex(self, key: Any, vertex: Vertex) -> int:
        self._at[key] = len(self.vertices)
        self.vertices.append(vertex)
        return self._at[key]

    def _leaf(self, leaf: Any) -> int:
        if leaf in self._at:
            return self._at[leaf]
        derivative = self.total.get((leaf, 0))
        name = self.names.get(id(leaf)) or f"x{1 + sum(v.kind == 'input' for v in self.vertices)}"
        return self._vertex(
            leaf, Vertex("input", name, name, self.run.values.get((leaf, 0)) or value_of(leaf), derivative)
        )

    def _constant(self, node: Any, i: int) -> int | None:
        """The box of an argument that no gradient goes to; None where nothing is known of it."""
        key = _key(self.run, node, i)
        if key is None or key in self._at:
            return None if key is None else self._at[key]
        source, shown = self.run.constants[node, i]
        name = self.names.get(id(source), "")
        small = shown.array is not None and shown.array.size == 1
        title = name or (number(shown.array.item()) if small else "constant")
        return self._vertex(key, Vertex("constant", title, name, None if small and not name else shown))

    def _operator(self, node: Any) -> None:
        used = self._outputs([node])
        sources = []
        for i, origin in enumerate(node.inputs):
            if origin is None:
                at = self._constant(node, i)
            else:
                at = self._leaf(origin) if isinstance(origin, Tensor) else self._at[origin]
            sources.append(at)
        at = self._vertex(node, Vertex("operator", title_of(node), nodes=[node]))
        self._fill(at, node, used)
        reads = [(node, i) for i, source in enumerate(sources) if source is not None]
        self._connect(at, [node], used, [(sources[i], [(node, i)]) for _, i in reads])  # type: ignore[misc]

    def _box(self, group: Any) -> None:
        members = set(group.nodes)
        used = self._outputs(group.nodes)
        found: dict[tuple[int, int], list[tuple[Any, int]]] = {}
        weights = 0
        for node in group.nodes:
            for i, origin in enumerate(node.inputs):
                if origin in members:
                    continue
                leaf = isinstance(origin, Tensor)
                key = origin if leaf else _key(self.run, node, i)
                if leaf and key in self._hidden and group.hides(origin, self.names.get(id(origin), "")):
                    weights += origin.array.size
                    continue
                if origin is None:
                    small = key is None or (group.kind != "call" and self.run.constants[node, i][1].shape == ())
                    if small or (key in self._hidden and group.hides(None, self._constant_name(node, i))):
                        continue
                    at = self._constant(node, i)
                else:
                    at = self._leaf(origin) if leaf else self._at[origin]
                if at is not None:
                    found.setdefault((at, node.indices[i]), []).append((node, i))
        if group.kind == "call":  # in the order of the operator's arguments
            last = group.main()
            way = {node: last.inputs.index(node) for node in group.nodes if node in last.inputs}
            found = dict(sorted(found.items(), key=lambda item: min(way.get(n, i) for n, i in item[1])))
        notes = [group.note] * bool(group.note) + [f"{weights:,} weights"] * bool(weights)
        at = len(self.vertices)
        kind = "operator" if group.kind == "call" else "box"
        self.vertices.append(Vertex(kind, group.title, note="\n".join(notes), nodes=group.nodes))
        self._at.update(dict.fromkeys(group.nodes, at))
        self._fill(at, used[0][0] if used else group.nodes[-1], used)
        self._connect(at, group.nodes, used, [(source, places) for (source, _), places in found.items()])

    def _constant_name(self, node: Any, i: int) -> str:
        return self.names.get(id(self.run.constants[node, i][0]), "")

    def _outputs(self, nodes: list[Any]) -> list[tuple[Any, int]]:
        """What of these operators is read outside, or asked for."""
        members = set(nodes)
        found = {(y.node, y.index): None for y in self.run.outputs if y.node in members}
        for node in nodes:
            outside = [(r, i) for r, i in self.run.readers.get(node, ()) if r not in members]
            found |= {(node, r.indices[i]): None for r, i in outside}
        return list(found)

    def _fill(self, at: int, node: Any, used: list[tuple[Any, int]]) -> None:
        vertex = self.vertices[at]
        if len(used) == 1:
            vertex.value = self.run.values.get(used[0])
            vertex.derivative = self.total.get(used[0])
            vertex.name = self.names.get(used[0], "")
        elif used:
            vertex.note = f"{len(used)} outputs" + ("\n" + vertex.note if vertex.note else "")

    def _connect(
        self, at: int, inside: list[Any], used: list[tuple[Any, int]], reads: list[tuple[int, list[tuple[Any, int]]]]
    ) -> None:
        """The edges into a box, one for each list of the places where a value is read."""
        jacobians: dict[tuple[Any, int], Any] = {}
        shown = self.run.values.get(used[0]) if len(used) == 1 else None
        places = [p for _, several in reads for p in several if p[0].inputs[p[1]] is not None]
        small = [p for p in places if 0 < _size(self._passes(p)) <= JACOBIAN]
        if self.derivatives != "none" and small and 0 < _size(shown) <= JACOBIAN:
            jacobians = dict(zip(small, self.run.jacobian(inside, used[0], small), strict=True))
        for source, several in reads:
            node, i = several[0]
            passes = self._passes(several[0])
            edge = Edge(source, at, passes=passes, index=node.indices[i])
            self.edges.append(edge)
            if node.inputs[i] is None or node.op.rules[0 if node.op.variadic else i] is None:
                continue
            edge.wants = True
            if shown is not None and passes is not None:
                edge.shape = (_size(shown), _size(passes))
            found: list[Any] = [jacobians.get(p) for p in several]
            if all(m is not None for m in found):
                each = all(n.op.jvp == "elementwise" or n.op.broadcasts or n.op.name == "reshape" for n in inside)
                edge.local = _compact(sum(found[1:], found[0]), shown, passes, each)
            parts = [self.part[p] for p in several if p in self.part]
            edge.derivative = sum(parts[1:], parts[0]) if parts else None

    def _passes(self, place: tuple[Any, int]) -> Value | None:
        node, i = place
        if node.inputs[i] is None:
            return self.run.constants.get(place, (0, None))[1]
        return self.run.values.get((node.inputs[i], node.indices[i]))


def _size(shown: Value | None) -> int:
    return JACOBIAN + 1 if shown is None else int(np.prod(shown.shape))


def _key(run: Run, node: Any, i: int) -> Any:
    """What tells a constant from another: a tensor is one box however often it is read, a number one at each place."""
    known = run.constants.get((node, i))
    if node.inputs[i] is not None or known is None:
        return None
    return ("constant", id(known[0])) if isinstance(known[0], Tensor) else ("constant", id(node), i)


def _compact(jacobian: Any, y: Any, x: Any, each: bool) -> Any:
    """A Jacobian as it is shown: a vector or number where it is one, the diagonal of what acts on each element."""
    p, n = jacobian.shape
    if p == 1:
        return jacobian.reshape(x.shape)
    if n == 1:
        return jacobian.reshape(y.shape)
    if each and p == n:
        return np.diag(jacobian).reshape(x.shape)
    return jacobian


def number(x: Any, digits: int = 6) -> str:
    """A number with so many significant digits, and a true minus sign."""
    text = str(x) if isinstance(x, (bool, int)) and abs(x) < 10**7 else f"{x:.{digits}g}"
    return text.replace("-", "−").replace("e+0", "e+").replace("e−0", "e−")


# --- groups -----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Group:
    """Operators that are drawn as one box."""

    title: str
    nodes: list[Any]
    note: str = ""
    kind: str = "box"  # or "module", "stage", "call"

    def main(self) -> Any:
        """Of a call, the operator that is not a reshape."""
        return next(node for node in self.nodes if node.op.name != "reshape")

    def hides(self, leaf: Any, name: str) -> bool:
        """Whether what only this box reads is left out: a module's weights, in a summary all but inputs."""
        from ..nn import Parameter

        if self.kind in ("box", "call"):
            return False
        owned = "." in name and (leaf is None or self.kind == "stage")  # a buffer; a parameter in a summary
        return isinstance(leaf, Parameter) or not name or owned


def boxes(run: Run, inner: Callable[[Any], bool]) -> list[Group]:
    """A group for each passage through the outermost scope of which `inner` is true."""
    found: dict[int, Group] = {}
    for node in run.nodes:
        record = record_of(node)
        for scope in record.path if record is not None else ():
            if inner(scope):
                title = scope.name
                group = found.setdefault(scope.call, Group(title, [], kind=scope.kind))
                group.nodes.append(node)
                break
    return list(found.values())


def folded(run: Run, groups: list[Group]) -> list[Group]:
    """The groups, and one for each operator with the reshapes that belong to the same call: a matrix times a vector."""
    taken = {node for g in groups for node in g.nodes}
    home: dict[Any, Group] = {}
    free = [node for node in run.nodes if node not in taken]
    for node in free:
        if node.op.name != "reshape":
            home[node] = Group(title_of(node), [node], kind="call")
    wanted = {y.node for y in run.outputs}
    for node in free:
        record = record_of(node)
        if node.op.name != "reshape" or record is None:
            continue
        origin, after = node.inputs[0], run.readers.get(node, [])
        only = after[0][0] if len(after) == 1 and node not in wanted else None
        made = record_of(origin) if isinstance(origin, Node) else None
        if made is not None and origin in home and made.place == record.place and made.order == record.order - 1:
            if len(run.readers[origin]) == 1 and origin not in wanted:
                home[origin].nodes.append(node)
                home[node] = home[origin]
                continue
        known = record_of(only) if only is not None else None
        if known is not None and known.place == record.place and only in home:
            home[only].nodes.insert(0, node)
            home[node] = home[only]
    return groups + [g for g in dict.fromkeys(home.values()) if len(g.nodes) > 1]


def at_depth(run: Run, depth: int, names: Mapping[Any, str]) -> list[Group]:
    """A group for each call of a module, `depth` modules down, and for each box above that."""
    found: dict[int, Group] = {}
    for node in run.nodes:
        record = record_of(node)
        path = record.path if record is not None else ()
        first = next((k for k, s in enumerate(path) if s.kind == "box"), None)
        k = depth - 1 if first is None else min(first, depth - 1)
        if path:
            scope = path[min(k, len(path) - 1)]
            name = names.get(id(scope.module), "")
            group = found.setdefault(scope.call, Group(scope.name, [], name, scope.kind))
            group.nodes.append(node)
    return list(found.values())


def depth_of(run: Run) -> int:
    """How deep the modules are nested."""
    records = [record_of(node) for node in run.nodes]
    return max((sum(s.kind == "module" for s in r.path) for r in records if r is not None), default=0)


def drawn(run: Run, groups: list[Group]) -> int:
    """How many boxes there will be, without inputs and constants."""
    return len(run.nodes) - sum(len(g.nodes) - 1 for g in groups)


def stages(run: Run, groups: list[Group], count: int) -> list[Group]:
    """At most `count` groups of what follows one another, parted where the fewest values go across."""
    group_of = {node: g for g in groups for node in g.nodes}
    units: list[Group] = []
    for node in run.nodes:
        group = group_of.get(node)
        if group is None:
            units.append(Group(title_of(node), [node]))
        elif node is group.nodes[0]:
            units.append(group)
    at = {node: k for k, unit in enumerate(units) for node in unit.nodes}
    last: dict[Any, int] = {}
    for node in run.nodes:
        for pair in zip(node.inputs, node.indices, strict=True):
            if isinstance(pair[0], Node):
                last[pair] = max(last.get(pair, 0), at[node])
    across = [0] * (len(units) + 1)
    for (node, _), end in last.items():
        for k in range(at[node] + 1, end + 1):
            across[k] += 1
    size = len(units) / count
    cuts = [0]
    for k in range(1, count):
        middle = k * size
        near = range(max(cuts[-1] + 1, round(middle - size / 2)), min(len(units), round(middle + size / 2) + 1))
        if near:
            same = units[-1].title  # what repeats is parted after the same operator each time
            cuts.append(min(near, key=lambda c: (across[c], units[c - 1].title != same, abs(c - middle))))
    made = []
    for start, end in zip(cuts, [*cuts[1:], len(units)], strict=True):
        some = units[start:end]
        if not some:
            continue
        kinds = Counter(unit.title for unit in some)
        first, final = some[0].note, some[-1].note
        title = f"{first} – {final}" if first and final and first != final else first
        title = (title and ("layers " * title[0].isdigit() + title)) or f"operators {start + 1} – {end}"
        several = [f"{n} {kind}" if n > 1 else kind for kind, n in kinds.most_common(4)]
        rest = len(kinds) - len(several)
        lines = [", ".join(several[:2]), ", ".join(several[2:]) + (f" and {rest} more" if rest else "")]
        nodes = [node for unit in some for node in unit.nodes]
        made.append(Group(title, nodes, "\n".join(filter(None, lines)), "stage"))
    return made


def arrange(run: Run, how: str, limit: int, names: Mapping[Any, str]) -> list[Group]:
    """The groups of a picture: see `draw`."""
    only_boxes = folded(run, boxes(run, lambda scope: scope.kind == "box"))
    deepest = depth_of(run)
    if how == "operators":
        return only_boxes
    if how == "modules":
        if not deepest:
            raise GraphError(
                "draw: no modules were seen; draw(model, inputs), or record the tensor under mt.learn.watch()"
            )
        return at_depth(run, deepest, names)
    if drawn(run, only_boxes) <= limit:
        return only_boxes
    finest = only_boxes
    for depth in range(deepest, 0, -1):
        groups = at_depth(run, depth, names)
        if 4 <= drawn(run, groups) <= limit:
            return groups
        if drawn(run, groups) > limit:
            finest = groups
    return stages(run, finest, min(limit, STAGES))
