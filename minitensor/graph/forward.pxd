from .algebra cimport algebra
from .modes cimport Thread, recording, set_grad_enabled, current
from .record cimport link_view, record_node, row_of, run, wrap_outputs
from .tensors cimport Dual, Tensor, batch_over, shadow, wrap

cpdef tuple evaluate(op, tuple args, dict params)
