#include "common.h"

#include <new>

#include "../runtime/memory.h"

namespace mt {

namespace {
[[noreturn]] void raise(const char* type, const std::string& message) {
  py::object cls = py::module_::import("minitensor.errors").attr(type);
  PyErr_SetString(cls.ptr(), message.c_str());
  throw py::error_already_set();
}
}  // namespace

void fail(const std::string& message) { raise("ShapeError", message); }
void fail_dtype(const std::string& message) { raise("DtypeError", message); }
void fail_index(const std::string& message) { raise("IndexRangeError", message); }

namespace {
void out_of_memory() {
  py::object cls = py::module_::import("minitensor.errors").attr("OutOfMemoryError");
  PyErr_SetString(cls.ptr(), "no memory for a kernel's working space");
}
}  // namespace

void translate_errors() {
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::bad_alloc&) {
      out_of_memory();
    }
  });
}

PyObject* raise_pending() {
  try {
    throw;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const py::type_error& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  } catch (const std::bad_alloc&) {
    out_of_memory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

void def_fast(py::module_& m, const char* name, const char* signature, Call call) {
  // Kept for good, as the module's functions are.
  auto* method = new PyMethodDef{name, reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(call)),
                                 METH_FASTCALL, signature};
  m.attr(name) = py::reinterpret_steal<py::object>(
      PyCFunction_NewEx(method, nullptr, m.attr("__name__").ptr()));
}

constexpr size_t kSmall = 1024;  // up to here NumPy keeps freed blocks itself, and needs no capsule

Array empty(PyObject* descriptor, size_t item, int ndim, const py::ssize_t* shape) {
  size_t bytes = item;
  for (int d = 0; d < ndim; ++d)
    if (shape[d] < 0)
      fail("an array cannot have the shape " + describe(Shape(shape, shape + ndim)));
  for (int d = 0; d < ndim; ++d)
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(shape[d]), &bytes))
      raise("OutOfMemoryError", "an array of shape " + describe(Shape(shape, shape + ndim)) +
                                    " has more bytes than can be addressed");
  Py_INCREF(descriptor);  // which the new array takes over
  const auto& api = py::detail::npy_api::get();
  if (bytes <= kSmall) {
    PyObject* made = api.PyArray_NewFromDescr_(api.PyArray_Type_, descriptor, ndim, shape, nullptr,
                                               nullptr, 0, nullptr);
    if (made == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<Array>(made);
  }
  const py::object held = py::reinterpret_steal<py::object>(descriptor);
  void* block = allocate(bytes);
  if (block == nullptr)
    raise("OutOfMemoryError", "no memory for an array of shape " +
                                  describe(Shape(shape, shape + ndim)) + " (" +
                                  std::to_string(bytes) + " bytes)");
  py::capsule owner(block, [](void* p) { release(p); });
  return Array(py::reinterpret_borrow<py::dtype>(held), Shape(shape, shape + ndim), block, owner);
}

Array empty(const py::dtype& dtype, const Shape& shape) {
  return empty(dtype.ptr(), dtype.itemsize(), static_cast<int>(shape.size()), shape.data());
}

Array contiguous(const Array& x) {
  constexpr int wanted =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((x.flags() & wanted) == wanted) return x;
  return copied(x);
}

void check_middle(const char* op, const Array& x, int64_t outer, int64_t n, int64_t inner) {
  int64_t rows, size;
  if (outer < 0 || n < 0 || inner < 0 || __builtin_mul_overflow(outer, n, &rows) ||
      __builtin_mul_overflow(rows, inner, &size) || size != x.size())
    fail(std::string(op) + ": " + describe(shape_of(x)) + " is not " + describe({outer, n, inner}) +
         " in other words");
}

Shape shape_of(const Array& x) { return Shape(x.shape(), x.shape() + x.ndim()); }

std::string describe(const Shape& shape) {
  std::string s = "(";
  for (size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + (shape.size() == 1 ? ",)" : ")");
}

}  // namespace mt
