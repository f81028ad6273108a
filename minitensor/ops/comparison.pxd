from .common cimport array_of, raw
