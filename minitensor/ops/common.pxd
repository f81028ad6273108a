from ..graph.tensors cimport Tensor, wrap

cpdef raw(x)
cpdef array_of(x)
cpdef shape_of(x)
