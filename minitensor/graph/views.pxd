from .algebra cimport algebra
from .arrays cimport flags_of
from .forward cimport evaluate
from .modes cimport recording, set_grad_enabled, switches, current
from .nodes cimport Node
from .places cimport here
from .record cimport concerns, record_node, row_of
from .tensors cimport Dual, Tensor, Version, batch_over, refresh, shadow, wants_grad, wrap

cpdef check_writable(str name, x, bint shared=*)
cpdef memory_of(str name, x)
cpdef assign(str name, x, value)
cdef object bump(Tensor t)
