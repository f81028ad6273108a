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

void translate_errors() {
  py::register_local_exception_translator([](std::exception_ptr error) {
    try {
      if (error) std::rethrow_exception(error);
    } catch (const std::bad_alloc&) {
      py::object cls = py::module_::import("minitensor.errors").attr("OutOfMemoryError");
      PyErr_SetString(cls.ptr(), "no memory for a kernel's working space");
    }
  });
}

Array empty(const py::dtype& dtype, const Shape& shape) {
  size_t bytes = dtype.itemsize();
  for (py::ssize_t n : shape)
    if (n < 0) fail("an array cannot have the shape " + describe(shape));
  for (py::ssize_t n : shape)
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(n), &bytes))
      raise("OutOfMemoryError",
            "an array of shape " + describe(shape) + " has more bytes than can be addressed");
  void* block = allocate(bytes);
  if (block == nullptr)
    raise("OutOfMemoryError", "no memory for an array of shape " + describe(shape) + " (" +
                                  std::to_string(bytes) + " bytes)");
  py::capsule owner(block, [](void* p) { release(p); });
  return Array(dtype, shape, block, owner);
}

Array contiguous(const Array& x) {
  constexpr int wanted =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((x.flags() & wanted) == wanted) return x;
  if (x.dtype().flags()) fail_dtype("the kernels take arrays of plain numbers");  // not of objects
  Array y = empty(x.dtype(), shape_of(x));
  if (py::detail::npy_api::get().PyArray_CopyInto_(y.ptr(), x.ptr()) < 0)
    throw py::error_already_set();
  return y;
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
