"""The few operators that the graph itself needs: handed to it, for it knows none by name."""

from __future__ import annotations

from typing import Any

from ..op import Op

try:
    import cython
except ImportError:
    from .. import _cython as cython


@cython.final
@cython.cclass
class Algebra:
    """To add gradients, to write through views, to promote dtypes."""

    add: Any  # add(a, b)
    add_into: Any  # add_into(have, more): have += more, of arrays
    copy: Any  # copy(array)
    put: Any  # put(to, value): writes an array or a float into an array, or gives False where it cannot
    sum_to: Any  # sum_to(g, shape): sums over broadcast axes
    expand: Any  # expand(x, shape)
    view_write: Any  # the operator view_write(base, value, *, chain): base with the view's values replaced
    promote: Any  # promote(name, a, b): both in their common dtype
    promote_float: Any  # promote_float(name, a): in a floating dtype
    cast: Any  # cast(a, dtype)
    same: Any  # the operator same(x): the identity
    conj: Any  # conj(x): of complex numbers
    constant_in: Any  # the operator constant_in(d, *xs): d, with derivative 0 by the xs


algebra = Algebra()


def set_algebra(
    add: Any,
    add_into: Any,
    copy: Any,
    put: Any,
    sum_to: Any,
    expand: Any,
    view_write: Op,
    promote: Any,
    promote_float: Any,
    cast: Any,
    same: Op,
    constant_in: Op,
    conj: Any,
) -> None:
    """Hands the graph what it needs of the operators."""
    algebra.add, algebra.add_into, algebra.copy, algebra.sum_to = add, add_into, copy, sum_to
    algebra.put = put
    algebra.expand, algebra.view_write, algebra.cast, algebra.same = expand, view_write, cast, same
    algebra.promote, algebra.promote_float = promote, promote_float
    algebra.constant_in, algebra.conj = constant_in, conj
