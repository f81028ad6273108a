// The dtype that NumPy lacks: bfloat16, the upper half of a float32. NumPy then stores, moves,
// indexes and casts such numbers as its own (rounding to nearest, ties to even). What is computed
// with them is computed in float32: as that cast is safe, NumPy's functions find those loops. There
// is no cast to float16, whose loops they would find first: it goes through float32.
#include <complex>
#include <cstddef>
#include <cstring>

#include "common.h"

namespace mt {
namespace {

// numpy/ndarraytypes.h: PyArray_ArrFuncs, PyArray_DescrProto, the numbers of its types, and where
// functions stand in its table.
struct Functions {
  void* cast[21];
  PyObject* (*getitem)(void*, void*);
  int (*setitem)(PyObject*, void*, void*);
  void (*copyswapn)(void*, Py_ssize_t, void*, Py_ssize_t, Py_ssize_t, int, void*);
  void (*copyswap)(void*, void*, int, void*);
  int (*compare)(const void*, const void*, void*);
  void *argmax, *dotfunc, *scanfunc, *fromstr;
  unsigned char (*nonzero)(void*, void*);
  void *fill, *fillwithscalar, *sort[3], *argsort[3], *rest[9];
};
struct Prototype {
  PyObject_HEAD PyTypeObject* typeobj;
  char kind, type, byteorder, flags;
  int type_num, elsize, alignment;
  void *subarray, *fields, *names;
  Functions* f;
  void *metadata, *c_metadata;
  Py_hash_t hash;
  void* reserved[2];
};
enum { kNpyBool, kNpyInt8, kUInt8, kNpyInt16, kUInt16, kNpyInt32, kUInt32, kLong, kULong };
enum { kLongLong = 9, kULongLong, kFloat32, kFloat64, kComplex64 = 14, kComplex128 };
enum { kGeneric = 10, kDescriptor = 45, kRegister = 192, kRegisterCast, kRegisterSafe, kInit };

struct BFloat16 {
  uint16_t bits;
};

float read(BFloat16 x) {
  const uint32_t wide = uint32_t(x.bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

template <class T>
float read(T x) {
  return float(x);  // of float64 too: it is rounded twice, as in PyTorch
}

template <class T>
float read(std::complex<T> x) {
  return float(x.real());
}

template <class T>
void write(float x, T& to) {
  to = T(x);
}

void write(float x, BFloat16& to) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof x);
  to.bits = x != x ? 0x7fc0 : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

template <class From, class To>
void cast(void* from, void* to, Py_ssize_t n, void*, void*) {
  for (Py_ssize_t i = 0; i < n; ++i)
    write(read(static_cast<const From*>(from)[i]), static_cast<To*>(to)[i]);
}

PyObject* getitem(void* from, void*) {
  BFloat16 x;
  std::memcpy(&x, from, sizeof x);
  return PyFloat_FromDouble(read(x));
}

int setitem(PyObject* value, void* to, void*) {
  const double number = PyFloat_AsDouble(value);
  if (number == -1 && PyErr_Occurred()) return -1;
  BFloat16 x;
  write(float(number), x);
  std::memcpy(to, &x, sizeof x);
  return 0;
}

void copyswap(void* to, void* from, int, void*) {
  if (from) std::memcpy(to, from, sizeof(BFloat16));
}

void copyswapn(void* to, Py_ssize_t step, void* from, Py_ssize_t stride, Py_ssize_t n, int, void*) {
  if (!from) return;
  for (Py_ssize_t i = 0; i < n; ++i)
    copyswap(static_cast<char*>(to) + i * step, static_cast<char*>(from) + i * stride, 0, nullptr);
}

int compare(const void* a, const void* b, void*) {  // NaN comes last
  const float x = read(*static_cast<const BFloat16*>(a)),
              y = read(*static_cast<const BFloat16*>(b));
  return x < y || (y != y && x == x) ? -1 : x > y || (x != x && y == y) ? 1 : 0;
}

unsigned char nonzero(void* from, void*) {
  BFloat16 x;
  std::memcpy(&x, from, sizeof x);
  return (x.bits & 0x7fff) != 0;
}

// The type of an element that was taken out of an array: NumPy puts the number behind its head.
struct Scalar {
  PyObject_HEAD BFloat16 value;
};

PyObject* new_scalar(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* value;
  if (!PyArg_ParseTuple(args, "O:bfloat16", &value)) return nullptr;
  PyObject* const made = type->tp_alloc(type, 0);
  if (made && setitem(value, &reinterpret_cast<Scalar*>(made)->value, nullptr) < 0) {
    Py_DECREF(made);
    return nullptr;
  }
  return made;
}

PyObject* written(PyObject* x) {
  const auto value = py::reinterpret_steal<py::object>(
      PyFloat_FromDouble(read(reinterpret_cast<Scalar*>(x)->value)));
  return value ? PyObject_Repr(value.ptr()) : nullptr;
}

template <class T>
void both_ways(void** table, PyObject* descriptor, int ours, int theirs) {
  using Register = int (*)(PyObject*, int, void*);
  const auto enter = reinterpret_cast<Register>(table[kRegisterCast]);
  const auto other = reinterpret_cast<PyObject* (*)(int)>(table[kDescriptor])(theirs);
  const auto out = reinterpret_cast<void*>(&cast<BFloat16, T>);
  if (enter(descriptor, theirs, out) < 0 ||
      enter(other, ours, reinterpret_cast<void*>(&cast<T, BFloat16>)) < 0)
    throw py::error_already_set();
}

}  // namespace

void bind_bfloat16(py::module_& m) {
  const py::capsule capsule =
      py::module_::import("numpy._core._multiarray_umath").attr("_ARRAY_API");
  void** const table = capsule.get_pointer<void*>();

  static PyTypeObject type = {PyVarObject_HEAD_INIT(nullptr, 0)};
  type.tp_name = "minitensor._core.bfloat16";
  type.tp_basicsize = sizeof(Scalar);
  type.tp_flags = Py_TPFLAGS_DEFAULT;
  type.tp_base = static_cast<PyTypeObject*>(table[kGeneric]);
  type.tp_new = new_scalar;
  type.tp_repr = type.tp_str = written;
  if (PyType_Ready(&type) < 0) throw py::error_already_set();

  static Functions functions;
  reinterpret_cast<void (*)(Functions*)>(table[kInit])(&functions);
  functions.getitem = getitem;
  functions.setitem = setitem;
  functions.copyswap = copyswap;
  functions.copyswapn = copyswapn;
  functions.compare = compare;
  functions.nonzero = nonzero;

  static Prototype prototype{};
  Py_SET_REFCNT(reinterpret_cast<PyObject*>(&prototype), 1);
  Py_SET_TYPE(reinterpret_cast<PyObject*>(&prototype), static_cast<PyTypeObject*>(table[3]));
  prototype.typeobj = &type;
  prototype.kind = 'f';
  prototype.type = 'E';  // its letter
  prototype.byteorder = '=';
  prototype.flags = 0;
  prototype.elsize = prototype.alignment = sizeof(BFloat16);
  prototype.f = &functions;
  prototype.hash = -1;
  const int ours = reinterpret_cast<int (*)(Prototype*)>(table[kRegister])(&prototype);
  if (ours < 0) throw py::error_already_set();
  PyObject* const descriptor = reinterpret_cast<PyObject* (*)(int)>(table[kDescriptor])(ours);

  both_ways<bool>(table, descriptor, ours, kNpyBool);
  both_ways<int8_t>(table, descriptor, ours, kNpyInt8);
  both_ways<uint8_t>(table, descriptor, ours, kUInt8);
  both_ways<int16_t>(table, descriptor, ours, kNpyInt16);
  both_ways<uint16_t>(table, descriptor, ours, kUInt16);
  both_ways<int32_t>(table, descriptor, ours, kNpyInt32);
  both_ways<uint32_t>(table, descriptor, ours, kUInt32);
  both_ways<long>(table, descriptor, ours, kLong);
  both_ways<unsigned long>(table, descriptor, ours, kULong);
  both_ways<long long>(table, descriptor, ours, kLongLong);
  both_ways<unsigned long long>(table, descriptor, ours, kULongLong);
  both_ways<float>(table, descriptor, ours, kFloat32);
  both_ways<double>(table, descriptor, ours, kFloat64);
  both_ways<std::complex<float>>(table, descriptor, ours, kComplex64);
  both_ways<std::complex<double>>(table, descriptor, ours, kComplex128);
  const auto safe = reinterpret_cast<int (*)(PyObject*, int, int)>(table[kRegisterSafe]);
  for (const int wider : {int(kFloat32), int(kFloat64), int(kComplex64), int(kComplex128)})
    if (safe(descriptor, wider, -1) < 0) throw py::error_already_set();
  m.attr("bfloat16") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(&type));
}

}  // namespace mt
