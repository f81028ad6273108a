from .algebra cimport algebra
from .modes cimport switches

cpdef here()
cpdef describe(place)
cdef object note_made(object shape)
