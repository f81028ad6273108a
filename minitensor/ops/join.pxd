from .common cimport array_of, raw, shape_of
