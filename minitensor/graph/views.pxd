from .algebra cimport algebra
from .forward cimport evaluate
from .modes cimport recording, set_grad_enabled, current
from .nodes cimport Node
from .places cimport here
from .record cimport record_node, row_of
from .tensors cimport Dual, Tensor, Version, batch_over, refresh, shadow, wrap

cpdef check_writable(str name, x, bint shared=*)
