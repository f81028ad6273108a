#include "common.h"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

#include "../runtime/memory.h"
#include "../runtime/parallel.h"

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
    if (error.matches(PyExc_OverflowError))  // a number that C's types do not hold
      PyErr_SetString(PyExc_TypeError, "a number is beyond 64 bits");
    else
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

namespace {
// The small arrays that were made last, by dtype and shape. One that nobody else holds any more is
// handed out again as it is, which takes an eighth of what making one takes.
constexpr int kSpares = 16;
struct Spares {
  PyObject* array[kSpares];
  int last;  // that was handed out
};

// Whether only `Spares` holds x, it is of that dtype and shape, and nothing of it was changed.
bool is_spare(PyObject* x, PyObject* descriptor, int ndim, const py::ssize_t* shape) {
  using api = py::detail::npy_api;
  constexpr int kFresh = api::NPY_ARRAY_C_CONTIGUOUS_ | api::NPY_ARRAY_OWNDATA_ |
                         api::NPY_ARRAY_ALIGNED_ | api::NPY_ARRAY_WRITEABLE_;
  const auto* a = py::detail::array_proxy(x);
  return Py_REFCNT(x) == 1 && a->descr == descriptor && a->nd == ndim &&
         std::equal(shape, shape + ndim, a->dimensions) &&
         (a->flags & ~api::NPY_ARRAY_F_CONTIGUOUS_) == kFresh && a->base == nullptr &&
         *PyObject_GET_WEAKREFS_LISTPTR(x) == nullptr;
}

// A new reference to an array of at most kSmall bytes; null with Python's error.
PyObject* small_array(PyObject* descriptor, int ndim, const py::ssize_t* shape) {
  constexpr int kBits = 5, kLooks = 4;
  static Spares spares[1 << kBits];
  auto hash = reinterpret_cast<uint64_t>(descriptor) / alignof(std::max_align_t);
  for (int d = 0; d < ndim; ++d) hash = hash * 31 + static_cast<uint64_t>(shape[d]);
  Spares& known = spares[hash * 0x9E3779B97F4A7C15u >> (64 - kBits)];
  for (int k = 0; k < kLooks; ++k) {
    const int at = (known.last + k) % kSpares;
    PyObject* const x = known.array[at];
    if (x == nullptr || !is_spare(x, descriptor, ndim, shape)) continue;
    known.last = at;
    return Py_NewRef(x);
  }
  const auto& api = py::detail::npy_api::get();
  Py_INCREF(descriptor);  // which the new array takes over
  PyObject* const made = api.PyArray_NewFromDescr_(api.PyArray_Type_, descriptor, ndim, shape,
                                                   nullptr, nullptr, 0, nullptr);
  known.last = (known.last + 1) % kSpares;
  if (made != nullptr) Py_XSETREF(known.array[known.last], Py_NewRef(made));
  return made;
}
}  // namespace

Array empty(PyObject* descriptor, size_t item, int ndim, const py::ssize_t* shape) {
  size_t bytes = item;
  for (int d = 0; d < ndim; ++d)
    if (shape[d] < 0)
      fail("an array cannot have the shape " + describe(Shape(shape, shape + ndim)));
  for (int d = 0; d < ndim; ++d)
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(shape[d]), &bytes))
      raise("OutOfMemoryError", "an array of shape " + describe(Shape(shape, shape + ndim)) +
                                    " has more bytes than can be addressed");
  if (bytes <= kSmall) {
    PyObject* const made = small_array(descriptor, ndim, shape);
    if (made == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<Array>(made);
  }
  void* block = allocate(bytes);
  if (block == nullptr)
    raise("OutOfMemoryError", "no memory for an array of shape " +
                                  describe(Shape(shape, shape + ndim)) + " (" +
                                  std::to_string(bytes) + " bytes)");
  py::capsule owner(block, [](void* p) { release(p); });
  return Array(py::reinterpret_borrow<py::dtype>(descriptor), Shape(shape, shape + ndim), block,
               owner);
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

namespace {
// (the least, the most) of an index
std::pair<int64_t, int64_t> span_of(const int64_t* p, int64_t count) {
  std::mutex mutex;
  std::pair<int64_t, int64_t> all{INT64_MAX, INT64_MIN};
  for_ranges(count, 1 << 15, [&](int64_t begin, int64_t end) {
    int64_t some[2];
    active<float>().span(some, p + begin, end - begin);
    const std::lock_guard<std::mutex> lock(mutex);
    all = {std::min(all.first, some[0]), std::max(all.second, some[1])};
  });
  return all;
}
}  // namespace

bool lies_within(const Array& index, int64_t least, int64_t n) {
  const Array in = contiguous(index);
  const auto [low, high] = span_of(data<int64_t>(in), in.size());
  return low >= least && high < n;
}

Array checked_index(const char* name, const Array& index, int64_t n, const std::string& of) {
  if (!is<int64_t>(index)) fail_dtype(std::string(name) + ": the index must be int64");
  const bool turn = of.empty();
  const int64_t least = turn ? -std::max<int64_t>(n, 0) : 0;
  const Array in = contiguous(index);
  const int64_t *p = data<int64_t>(in), count = in.size();
  const auto [low, high] = span_of(p, count);
  for (int64_t i = 0; (low < least || high >= n) && i < count; ++i)
    if (p[i] < least || p[i] >= n)
      fail_index(std::string(name) + ": index " + std::to_string(p[i]) + " is out of range for " +
                 (turn ? "an axis of size " + std::to_string(n) : of));
  if (low >= 0) return in;
  Array turned = empty<int64_t>(shape_of(in));
  int64_t* to = data<int64_t>(turned);
  for (int64_t i = 0; i < count; ++i) to[i] = p[i] < 0 ? p[i] + n : p[i];
  return turned;
}

Shape shape_of(const Array& x) { return Shape(x.shape(), x.shape() + x.ndim()); }

std::string describe(const Shape& shape) {
  std::string s = "(";
  for (size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + (shape.size() == 1 ? ",)" : ")");
}

}  // namespace mt
