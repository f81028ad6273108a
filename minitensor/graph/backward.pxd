cimport cython

from .algebra cimport algebra
from .arrays cimport base_of, dtype_of, same_shape
from .modes cimport Thread, recording, set_grad_enabled, switches, current
from .nodes cimport Node, holds_arrays, recorded_at, saved_value, unpack_array
from .places cimport describe, here
from .record cimport Row, narrowed, odd_of, row_of, widened
from .tensors cimport Tensor, Version, batch_over, origin, shadow, wrap


@cython.freelist(64)
@cython.final
cdef class _Pending:
    cdef public long long edges
    cdef public object grad, grads, owned
    cdef public bint own, leads, through
