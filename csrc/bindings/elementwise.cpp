// Elementwise kernels: the arrays are broadcast together into a Walk.
#include <algorithm>

#include "common.h"

namespace mt {
namespace {

// An operand: an array's place and steps in bytes, or a number that has no axes.
struct View {
  const void* data = nullptr;
  int ndim = 0;
  const py::ssize_t *shape = nullptr, *strides = nullptr;
  py::ssize_t item = 1;
  bool contiguous = true, number = true;
};

std::string shapes(const View* in, int n) {
  std::string s;
  for (int k = 0; k < n; ++k)
    s += (k ? " and " : "") + describe(Shape(in[k].shape, in[k].shape + in[k].ndim));
  return s;
}

// x as it lies if its strides are whole elements and it is aligned, else a copy that `held` keeps.
View view(const Array& x, py::object& held) {
  const auto* a = py::detail::array_proxy(x.ptr());
  const py::ssize_t size = x.itemsize();
  bool whole = a->flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  const bool contiguous = a->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_;
  for (int d = 0; d < a->nd && !contiguous; ++d) whole = whole && a->strides[d] % size == 0;
  if (!whole) {
    held = mt::contiguous(x);
    a = py::detail::array_proxy(held.ptr());
  }
  return {a->data, a->nd, a->dimensions, a->strides, size, contiguous || !whole, false};
}

// The sizes of a result.
struct Sizes {
  int ndim = 0;
  py::ssize_t n[kMaxDims];
};

// Where the n operands are contiguous and of one shape, or numbers, the walk is one row.
bool plan_row(const View* in, int n, Walk& walk, Sizes& shape) {
  const View* first = nullptr;
  for (int k = 0; k < n; ++k) {
    walk.stride[k + 1][0] = in[k].number ? 0 : 1;
    if (in[k].number) continue;
    if (!in[k].contiguous) return false;
    if (first == nullptr) {
      first = &in[k];
      continue;
    }
    if (in[k].ndim != first->ndim) return false;
    for (int d = 0; d < first->ndim; ++d)
      if (in[k].shape[d] != first->shape[d]) return false;
  }
  shape.ndim = first->ndim;
  walk.ndim = 1;
  walk.count = 1;
  walk.stride[0][0] = 1;
  for (int d = 0; d < first->ndim; ++d) walk.count *= shape.n[d] = first->shape[d];
  walk.size[0] = walk.count;
  return true;
}

// The common shape of n operands.
void broadcast(const char* name, const View* in, int n, Sizes& shape) {
  shape.ndim = 0;
  for (int k = 0; k < n; ++k) shape.ndim = std::max(shape.ndim, in[k].ndim);
  for (int d = 0; d < shape.ndim; ++d) {
    shape.n[d] = 1;
    for (int k = 0; k < n; ++k) {
      const int axis = d - (shape.ndim - in[k].ndim);
      const py::ssize_t size = axis < 0 ? 1 : in[k].shape[axis];
      if (size != 1 && shape.n[d] != 1 && size != shape.n[d])
        fail(std::string(name) + ": shapes " + shapes(in, n) + " do not broadcast");
      if (size != 1) shape.n[d] = size;
    }
  }
}

// How far an operand steps along an axis of the common shape, in elements.
int64_t step(const View& x, const Sizes& shape, int d) {
  const int axis = d - (shape.ndim - x.ndim);
  return axis < 0 || (x.shape[axis] == 1 && shape.n[d] != 1) ? 0 : x.strides[axis] / x.item;
}

// Whether axis a is to lie inside axis b: the first operand that steps along both says so.
int inside(const View* in, int n, const Sizes& shape, int a, int b) {
  for (int k = 0; k < n; ++k) {
    const int64_t one = step(in[k], shape, a), other = step(in[k], shape, b);
    if (one == 0 || other == 0) continue;
    if (one != other) return one < other ? 1 : -1;
    if (shape.n[a] > shape.n[b]) return -1;
  }
  return 0;
}

// The axes of a result from the outermost to the innermost: it lies in memory as its first operand
// does, and where that is broadcast, as the next. False if this is their own order.
bool order_of(const View* in, int n, const Sizes& shape, int* order) {
  bool straight = true;
  for (int k = 0; k < n; ++k) straight = straight && in[k].contiguous;
  for (int d = 0; d < shape.ndim; ++d) order[d] = d;
  if (straight) return false;
  for (int d = shape.ndim - 2; d >= 0; --d)
    for (int at = d, next = d + 1; next < shape.ndim; ++next) {
      const int found = inside(in, n, shape, order[next], order[at]);
      if (found > 0) break;
      if (found == 0) continue;
      std::swap(order[at], order[next]);
      at = next;
    }
  return !std::is_sorted(order, order + shape.ndim);
}

// The walk over the n operands, 1 to n, through a common shape whose axes are taken in this order.
void plan(const char* name, const View* in, int n, const Sizes& shape, const int* order,
          Walk& walk) {
  walk.ndim = 0;
  walk.count = 1;
  for (int i = 0; i < shape.ndim; ++i) {
    const int d = order[i];
    const py::ssize_t common = shape.n[d];
    if (__builtin_mul_overflow(walk.count, common, &walk.count))
      fail(std::string(name) + ": shapes " + shapes(in, n) +
           " broadcast to more elements than can be counted");
    if (common == 1) continue;
    int64_t stride[4];
    for (int k = 1; k <= n; ++k) stride[k] = step(in[k - 1], shape, d);
    // This axis and the one before it are one if every array steps from row to row as it would
    // within a row.
    bool merges = walk.ndim > 0;
    for (int k = 1; k <= n; ++k)
      merges = merges && walk.stride[k][walk.ndim - 1] == stride[k] * common;
    if (!merges) walk.size[walk.ndim++] = 1;
    walk.size[walk.ndim - 1] *= common;
    for (int k = 1; k <= n; ++k) walk.stride[k][walk.ndim - 1] = stride[k];
  }
  if (walk.ndim == 0) {
    walk.ndim = 1;
    walk.size[0] = 1;
    for (int k = 1; k <= n; ++k) walk.stride[k][0] = 0;
  }
  for (int64_t d = walk.ndim - 1, step = 1; d >= 0; step *= walk.size[d--])
    walk.stride[0][d] = step;
}

// The same through the axes in their own order.
void plan(const char* name, const View* in, int n, Walk& walk, Sizes& shape) {
  int order[kMaxDims];
  broadcast(name, in, n, shape);
  order_of(in, 0, shape, order);
  plan(name, in, n, shape, order, walk);
}

Array empty_in_order(PyObject* dtype, size_t item, const Sizes& shape, const int* order) {
  py::ssize_t sizes[kMaxDims];
  for (int d = 0; d < shape.ndim; ++d) sizes[d] = shape.n[order[d]];
  Array whole = empty(dtype, item, shape.ndim, sizes);
  Shape strides(shape.ndim);
  py::ssize_t step = static_cast<py::ssize_t>(item);
  for (int d = shape.ndim - 1; d >= 0; step *= sizes[d--]) strides[order[d]] = step;
  return Array(py::reinterpret_borrow<py::dtype>(dtype), Shape(shape.n, shape.n + shape.ndim),
               strides, whole.data(), whole);
}

// Whether an output over `bytes` at `out` can be written while x is read: x is that very memory, in
// order, or none of it.
bool apart(const View& x, const View& out, py::ssize_t bytes) {
  if (x.number || (x.data == out.data && x.contiguous && x.ndim == out.ndim &&
                   std::equal(x.shape, x.shape + x.ndim, out.shape)))
    return true;
  const char *low = static_cast<const char*>(x.data), *high = low + x.item;
  for (int d = 0; d < x.ndim; ++d) {
    if (x.shape[d] == 0) return true;
    (x.strides[d] < 0 ? low : high) += x.strides[d] * (x.shape[d] - 1);
  }
  const char* const begin = static_cast<const char*>(out.data);
  return high <= begin || low >= begin + bytes;
}

// What an operator does to a Walk, for either type and behind one pointer, so that all around it
// exists once: f(table, out, inputs, walk). Its results are of the inputs' type, or bools.
constexpr int kMaxOperands = 3;
struct Loop {
  using Run = void (*)(const void* f, void* out, const void* const* in, const Walk& walk);
  const void* f;
  Run on_float, on_double;
  bool gives_bools;
};
template <class T, class Out, class F>
void run_loop(const void* f, void* out, const void* const* in, const Walk& walk) {
  const T* from[kMaxOperands];
  for (int k = 0; k < kMaxOperands; ++k) from[k] = static_cast<const T*>(in[k]);
  (*static_cast<const F*>(f))(active<T>(), static_cast<Out*>(out), from, walk);
}
template <class F>
Loop loop(const F& f) {
  return {&f, run_loop<float, float, F>, run_loop<double, double, F>, false};
}
template <class F>
Loop loop_of_bools(const F& f) {
  return {&f, run_loop<float, bool, F>, run_loop<double, bool, F>, true};
}

// The array `into` if the result of these operands can be written there, else null.
Array destination(PyObject* into, PyObject* dtype, const View* in, int n, const Sizes& shape) {
  if (!py::isinstance<Array>(into))
    return py::reinterpret_steal<Array>(static_cast<PyObject*>(nullptr));
  const auto out = py::reinterpret_borrow<Array>(into);
  py::object held;
  const View to = view(out, held);
  bool fits = out.dtype().is(py::handle(dtype)) && out.writeable() && to.contiguous && !held &&
              to.ndim == shape.ndim && std::equal(shape.n, shape.n + shape.ndim, to.shape);
  for (int k = 0; k < n && fits; ++k) fits = apart(in[k], to, out.nbytes());
  return fits ? out : py::reinterpret_steal<Array>(static_cast<PyObject*>(nullptr));
}

// The loop on n operands, which hold doubles (`wide`) or floats. Into the array `into`, if one is
// given; null if that cannot be.
Array run_views(const char* name, const Loop& loop, bool wide, const View* in, int n,
                PyObject* into = nullptr) {
  Walk walk;
  Sizes shape;
  int order[kMaxDims];
  bool moved = false;
  if (!plan_row(in, n, walk, shape)) {
    broadcast(name, in, n, shape);
    moved = order_of(in, into == nullptr ? n : 0, shape, order);
    plan(name, in, n, shape, order, walk);
  }
  PyObject* const dtype = loop.gives_bools ? descriptor<bool>()
                          : wide           ? descriptor<double>()
                                           : descriptor<float>();
  const size_t item = loop.gives_bools ? 1 : wide ? sizeof(double) : sizeof(float);
  Array out = into != nullptr ? destination(into, dtype, in, n, shape)
              : moved         ? empty_in_order(dtype, item, shape, order)
                              : empty(dtype, item, shape.ndim, shape.n);
  if (!out) return out;
  void* to = const_cast<void*>(static_cast<const void*>(out.data()));
  const void* from[kMaxOperands] = {};
  for (int k = 0; k < n; ++k) from[k] = in[k].data;
  const auto run = wide ? loop.on_double : loop.on_float;
  without_gil(walk.count, [&] { run(loop.f, to, from, walk); });
  return out;
}

// The loop on n arrays of one dtype.
Array run_arrays(const char* name, const Loop& loop, const Array* const* arrays, int n) {
  const bool wide = !is<float>(*arrays[0]);
  if (wide && !is<double>(*arrays[0]))
    fail_dtype(std::string(name) + ": the kernels take float32 and float64");
  py::object held[kMaxOperands];
  View in[kMaxOperands];
  for (int k = 0; k < n; ++k) {
    if (!(wide ? is<double>(*arrays[k]) : is<float>(*arrays[k])))
      fail_dtype(std::string(name) + ": the arrays' dtypes differ");
    in[k] = view(*arrays[k], held[k]);
  }
  return run_views(name, loop, wide, in, n);
}

// n arrays or Python numbers, the arrays all of doubles or of floats; a number is taken as one.
PyObject* run_arguments(const char* name, const Loop& loop, bool wide, PyObject* const* arguments,
                        int n, PyObject* into) {
  py::object held[kMaxOperands];
  float single[kMaxOperands];
  double number[kMaxOperands];
  View in[kMaxOperands];
  for (int k = 0; k < n; ++k) {
    PyObject* x = arguments[k];
    if (PyFloat_CheckExact(x) || PyLong_CheckExact(x)) {
      number[k] = PyFloat_AsDouble(x);
      if (number[k] == -1 && PyErr_Occurred()) {  // an integer beyond all doubles
        PyErr_Clear();
        Py_RETURN_NONE;
      }
      single[k] = static_cast<float>(number[k]);
      in[k].data = wide ? static_cast<const void*>(&number[k]) : &single[k];
    } else {
      in[k] = view(py::reinterpret_borrow<Array>(x), held[k]);
    }
  }
  PyObject* out = run_views(name, loop, wide, in, n, into).release().ptr();
  if (out == nullptr) Py_RETURN_NONE;
  return out;
}

// The function that Python calls for an operator of n operands, of which the first `typed` have its
// dtype, and an array for the result if one is given.
PyObject* run_call(const char* name, const Loop& loop, int n, int typed, PyObject* const* arguments,
                   Py_ssize_t given) {
  try {
    if (given != n && given != n + 1)
      throw py::type_error(std::string(name) + ": takes " + std::to_string(n) + " arrays");
    PyObject* const into = given == n ? nullptr : arguments[n];
    PyObject* dtype = nullptr;
    for (int k = 0; k < typed; ++k) {
      PyObject* x = arguments[k];
      if (PyFloat_CheckExact(x) || PyLong_CheckExact(x)) continue;
      if (!py::isinstance<Array>(x)) Py_RETURN_NONE;
      PyObject* d = py::detail::array_proxy(x)->descr;
      if (dtype != nullptr && d != dtype) Py_RETURN_NONE;
      dtype = d;
    }
    const bool wide = dtype == descriptor<double>();
    if (!wide && dtype != descriptor<float>()) Py_RETURN_NONE;
    return run_arguments(name, loop, wide, arguments, n, into);
  } catch (...) {
    return raise_pending();
  }
}

// The same for n arrays of one dtype, nothing else, and after them `count` numbers for the loop.
PyObject* run_numbers(const char* name, const Loop& loop, int n, PyObject* const* arguments,
                      Py_ssize_t given, double* numbers, int count) {
  try {
    if (given != n + count)
      throw py::type_error(std::string(name) + ": takes " + std::to_string(n) + " arrays and " +
                           std::to_string(count) + " numbers");
    Array arrays[kMaxOperands];
    const Array* in[kMaxOperands];
    for (int k = 0; k < n; ++k) {
      if (!py::isinstance<Array>(arguments[k]))
        throw py::type_error(std::string(name) + ": takes arrays");
      arrays[k] = py::reinterpret_borrow<Array>(arguments[k]);
      in[k] = &arrays[k];
    }
    for (int k = 0; k < count; ++k) {
      numbers[k] = PyFloat_AsDouble(arguments[n + k]);
      if (numbers[k] == -1 && PyErr_Occurred()) return nullptr;
    }
    return run_arrays(name, loop, in, n).release().ptr();
  } catch (...) {
    return raise_pending();
  }
}

// These take arrays and Python numbers, and give None where the arrays are not all float32 or all
// float64, or something else is given. What is given last, if there is one more, gets the result.
#define MT_UNARY(name)                                                                 \
  into.append(#name);                                                                  \
  def_fast(m, #name, #name "(x: numpy.ndarray, *out: numpy.ndarray) -> numpy.ndarray", \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {               \
             const auto f = [](auto& k, auto* out, auto** in, auto& walk) {            \
               k.name(out, in[0], walk);                                               \
             };                                                                        \
             return run_call(#name, loop(f), 1, 1, arguments, given);                  \
           })
#define MT_BINARY(name, x, y)                                                      \
  into.append(#name);                                                              \
  def_fast(m, #name,                                                               \
           #name "(" x ": numpy.ndarray | float, " y                               \
                 ": numpy.ndarray | float, *out: numpy.ndarray) -> numpy.ndarray", \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {           \
             const auto f = [](auto& k, auto* out, auto** in, auto& walk) {        \
               k.name(out, in[0], in[1], walk);                                    \
             };                                                                    \
             return run_call(#name, loop(f), 2, 2, arguments, given);              \
           })

#define MT_COMPARE(name, how)                                                       \
  def_fast(m, #name, #name "(x: numpy.ndarray, y: numpy.ndarray) -> numpy.ndarray", \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {            \
             const auto f = [](auto& k, bool* out, auto** in, auto& walk) {         \
               k.compare(reinterpret_cast<uint8_t*>(out), in[0], in[1], how, walk); \
             };                                                                     \
             return run_call(#name, loop_of_bools(f), 2, 2, arguments, given);      \
           })

// These take arrays of one dtype, and after them numbers: v[0], v[1], ... in the kernel's operands.
#define MT_NUMBERS(name, n, count, arguments_of_it, ...)                        \
  def_fast(m, #name, #name "(" arguments_of_it ") -> numpy.ndarray",            \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {        \
             double v[count + 1];                                               \
             const auto f = [&v](auto& k, auto* out, auto** in, auto& walk) {   \
               k.name(out, __VA_ARGS__, walk);                                  \
             };                                                                 \
             return run_numbers(#name, loop(f), n, arguments, given, v, count); \
           })

// Elements of 4 or 8 bytes are copied as floats or doubles, whatever they are.
template <class T>
void copy_as(const View& x, Array& y) {
  Walk walk;
  Sizes shape;
  if (!plan_row(&x, 1, walk, shape)) plan("copy", &x, 1, walk, shape);
  T* to = static_cast<T*>(y.mutable_data());
  const T* from = static_cast<const T*>(x.data);
  const auto call = [&] { active<T>().copy(to, from, walk); };
  if (walk.count < kWithGil)
    call();
  else
    without_gil(call);
}

// to = from, broadcast, in the memory of `to`: whether the kernel could.
template <class T>
bool put_as(const View& to, const View& from) {
  Walk walk;
  Sizes shape;
  const View both[2] = {from, to};
  plan("put", both, 2, walk, shape);
  if (shape.ndim != to.ndim || !std::equal(shape.n, shape.n + shape.ndim, to.shape)) return false;
  T* out = static_cast<T*>(const_cast<void*>(to.data));
  const T* x = static_cast<const T*>(from.data);
  without_gil(walk.count, [&] { active<T>().put(out, x, walk); });
  return true;
}
bool put(const Array& to, const Array& from) {
  const py::ssize_t item = to.itemsize();
  if (!to.dtype().is(from.dtype()) || to.dtype().flags() || !to.writeable()) return false;
  if (item != 4 && item != 8) return false;
  py::object held[2];
  const View in[2] = {view(to, held[0]), view(from, held[1])};
  if (held[0] || held[1] || to.size() == 0) return false;
  for (int d = 0; d < in[0].ndim; ++d)
    if (in[0].strides[d] == 0 && in[0].shape[d] > 1) return false;
  // What they cover, from the least address to the last, must not meet.
  const char* low[2];
  const char* high[2];
  for (int k = 0; k < 2; ++k) {
    low[k] = static_cast<const char*>(in[k].data);
    high[k] = low[k] + item;
    for (int d = 0; d < in[k].ndim; ++d)
      (in[k].strides[d] < 0 ? low[k] : high[k]) += in[k].strides[d] * (in[k].shape[d] - 1);
  }
  if (low[0] < high[1] && low[1] < high[0]) return false;
  return item == 4 ? put_as<float>(in[0], in[1]) : put_as<double>(in[0], in[1]);
}

// What the elements of an array of this dtype are, if the kernels cast them.
bool element_of(const Array& x, Element& type) {
  if (is<float>(x))
    type = kFloat;
  else if (is<double>(x))
    type = kDouble;
  else if (is<int64_t>(x))
    type = kInt64;
  else if (is<int32_t>(x))
    type = kInt32;
  else if (is<bool>(x) || is<uint8_t>(x))
    type = kByte;
  else
    return false;
  return true;
}

// x in another dtype, or None where there is no kernel for that.
py::object cast(const Array& x, const py::dtype& dtype) {
  if (!(py::detail::array_proxy(x.ptr())->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_))
    return py::none();
  Array y = empty(dtype, shape_of(x));
  Element from, to;
  if (!element_of(x, from) || !element_of(y, to) || is<uint8_t>(y)) return py::none();
  void* out = y.mutable_data();
  const void* in = x.data();
  const int64_t n = x.size();
  const auto run = [&](auto f) { without_gil(n, f); };
  if (to == kFloat)
    run([&] { active<float>().cast_from(static_cast<float*>(out), in, from, n); });
  else if (to == kDouble)
    run([&] { active<double>().cast_from(static_cast<double*>(out), in, from, n); });
  else if (from == kFloat)
    run([&] { active<float>().cast_to(out, static_cast<const float*>(in), to, n); });
  else if (from == kDouble)
    run([&] { active<double>().cast_to(out, static_cast<const double*>(in), to, n); });
  else
    return py::none();
  return y;
}

// have += more, in the memory of `have`: whether the kernel could.
template <class T>
bool add_to(const Array& have, const Array& more) {
  if (!is<T>(have) || !is<T>(more) || !have.writeable()) return false;
  py::object held[2];
  const View in[2] = {view(have, held[0]), view(more, held[1])};
  if (!in[0].contiguous || held[0]) return false;
  Walk walk;
  Sizes shape;
  if (!plan_row(in, 2, walk, shape)) plan("add_into", in, 2, walk, shape);
  if (shape.ndim != in[0].ndim || !std::equal(shape.n, shape.n + shape.ndim, in[0].shape))
    return false;
  T* to = static_cast<T*>(const_cast<void*>(in[0].data));
  const T* from = static_cast<const T*>(in[1].data);
  const auto call = [&] { active<T>().add(to, to, from, walk); };
  if (walk.count < kWithGil)
    call();
  else
    without_gil(call);
  return true;
}

}  // namespace

Array copied(const Array& x) {
  if (x.dtype().flags() || x.ndim() >= kMaxDims)  // holds objects
    fail_dtype("the kernels take arrays of plain numbers");
  Array y = empty(x.dtype(), shape_of(x));
  py::object held;
  const py::ssize_t size = x.itemsize();
  bool whole = size == 4 || size == 8;
  const auto* a = py::detail::array_proxy(x.ptr());
  whole = whole && a->flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  for (int d = 0; d < a->nd; ++d) whole = whole && a->strides[d] % size == 0;
  if (!whole) {
    if (py::detail::npy_api::get().PyArray_CopyInto_(y.ptr(), x.ptr()) < 0)
      throw py::error_already_set();
  } else if (y.size() > 0) {
    const View v = view(x, held);
    size == 4 ? copy_as<float>(v, y) : copy_as<double>(v, y);
  }
  return y;
}

void bind_elementwise(py::module_& m) {
  py::list into;  // the names of those that write where they are told to
  def_fast(m, "copy", "copy(x: numpy.ndarray) -> numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             try {
               if (given != 1 || !py::isinstance<Array>(arguments[0]))
                 throw py::type_error("copy: takes one array");
               return copied(py::reinterpret_borrow<Array>(arguments[0])).release().ptr();
             } catch (...) {
               return raise_pending();
             }
           });
  m.def(
      "add_into",
      [](const Array& have, const Array& more) {
        return add_to<float>(have, more) || add_to<double>(have, more);
      },
      py::arg("have"), py::arg("more"));
  m.def("put", put, py::arg("out"), py::arg("x"));
  m.def("cast", cast, py::arg("x"), py::arg("dtype"));
  m.def(
      "triangle",
      [](const Array& x, int64_t diagonal, bool upper) -> py::object {
        if (x.ndim() < 2) fail("triangle: needs at least two axes");
        const auto typed = [&](auto t) -> py::object {
          using T = decltype(t);
          const Array in = contiguous(x);
          Array y = empty(x.dtype(), shape_of(x));
          T* to = static_cast<T*>(y.mutable_data());
          const T* from = static_cast<const T*>(in.data());
          const int64_t rows = x.shape(x.ndim() - 2), cols = x.shape(x.ndim() - 1);
          const int64_t count = rows * cols > 0 ? x.size() / (rows * cols) : 0;
          // As far out as it can mean something.
          const int64_t k = std::clamp<int64_t>(diagonal, -rows, cols);
          without_gil(x.size(),
                      [&] { active<T>().triangle(to, from, count, rows, cols, k, upper); });
          return y;
        };
        if (x.dtype().flags()) return py::none();
        return x.itemsize() == 4   ? typed(float{})
               : x.itemsize() == 8 ? typed(double{})
                                   : py::none();
      },
      py::arg("x"), py::arg("diagonal"), py::arg("upper"));
  MT_BINARY(add, "x", "y");
  MT_BINARY(sub, "x", "y");
  MT_BINARY(mul, "x", "y");
  MT_BINARY(div, "x", "y");
  MT_UNARY(neg);
  MT_UNARY(square);
  MT_UNARY(reciprocal);
  MT_BINARY(pow, "x", "y");
  MT_BINARY(hypot, "x", "y");
  MT_BINARY(fmod, "x", "y");
  MT_BINARY(remainder, "x", "y");
  MT_BINARY(prelu, "x", "slope");
  MT_UNARY(frac);
  MT_UNARY(log2);
  MT_UNARY(log10);
  MT_UNARY(tan);
  MT_UNARY(atan);
  MT_UNARY(asin);
  MT_UNARY(acos);
  MT_UNARY(sinh);
  MT_UNARY(cosh);
  def_fast(m, "lerp",
           "lerp(x: numpy.ndarray, y: numpy.ndarray | float, weight: numpy.ndarray | float, "
           "*out: numpy.ndarray) -> numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {
             const auto f = [](auto& k, auto* out, auto** in, auto& walk) {
               k.lerp(out, in[0], in[1], in[2], walk);
             };
             return run_call("lerp", loop(f), 3, 3, arguments, given);
           });
  def_fast(
      m, "multiply_add",
      "multiply_add(x: numpy.ndarray, y: numpy.ndarray | float, z: numpy.ndarray | float, value: "
      "float, divide: bool, *out: numpy.ndarray) -> numpy.ndarray",
      [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
        if (given != 5 && given != 6) Py_RETURN_NONE;
        const double value = PyFloat_AsDouble(arguments[3]);
        if (value == -1 && PyErr_Occurred()) return nullptr;
        const bool divide = PyObject_IsTrue(arguments[4]) == 1;
        const auto f = [=](auto& k, auto* out, auto** in, auto& walk) {
          k.multiply_add(out, in[0], in[1], in[2], value, divide, walk);
        };
        PyObject* const operands[4] = {arguments[0], arguments[1], arguments[2],
                                       given == 6 ? arguments[5] : nullptr};
        return run_call(divide ? "addcdiv" : "addcmul", loop(f), 3, 3, operands, given - 2);
      });
  MT_NUMBERS(shrink, 1, 2, "x: numpy.ndarray, reach: float, soft: bool", in[0], v[0], v[1]);
  MT_NUMBERS(shrink_vjp, 2, 1, "g: numpy.ndarray, x: numpy.ndarray, reach: float", in[0], in[1],
             v[0]);
  MT_NUMBERS(huber, 1, 1, "d: numpy.ndarray, delta: float", in[0], v[0]);
  def_fast(m, "pow_scalar", "pow_scalar(x: numpy.ndarray, y: float) -> numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             if (given != 2 || !(PyFloat_Check(arguments[1]) || PyLong_Check(arguments[1])))
               Py_RETURN_NONE;
             const double y = PyFloat_AsDouble(arguments[1]);
             if (y == -1 && PyErr_Occurred()) return nullptr;
             const auto f = [y](auto& k, auto* out, auto** in, auto& walk) {
               k.pow_scalar(out, in[0], y, walk);
             };
             return run_call("pow", loop(f), 1, 1, arguments, 1);
           });

  MT_UNARY(abs);
  MT_UNARY(sign);
  MT_UNARY(exp);
  MT_UNARY(log);
  MT_UNARY(sqrt);
  MT_UNARY(rsqrt);
  MT_UNARY(expm1);
  MT_UNARY(log1p);
  MT_UNARY(exp2);
  MT_UNARY(floor);
  MT_UNARY(ceil);
  MT_UNARY(trunc);
  MT_UNARY(round);
  MT_UNARY(log_sigmoid);
  MT_COMPARE(eq, kEqual);
  MT_COMPARE(ne, kNotEqual);
  MT_COMPARE(lt, kLess);
  MT_COMPARE(le, kLessEqual);
  MT_COMPARE(gt, kGreater);
  MT_COMPARE(ge, kGreaterEqual);
  MT_UNARY(sin);
  MT_UNARY(cos);
  MT_UNARY(erf);
  MT_UNARY(erfc);
  MT_UNARY(tanh);
  MT_BINARY(tanh_vjp, "g", "y");
  MT_UNARY(sigmoid);
  MT_BINARY(sigmoid_vjp, "g", "y");
  MT_UNARY(relu);
  MT_BINARY(relu_vjp, "g", "y");
  MT_UNARY(silu);
  MT_BINARY(silu_vjp, "g", "x");
  MT_UNARY(gelu);
  MT_BINARY(gelu_vjp, "g", "x");
  MT_UNARY(gelu_tanh);
  MT_BINARY(gelu_tanh_vjp, "g", "x");
  MT_NUMBERS(leaky_relu, 1, 1, "x: numpy.ndarray, slope: float", in[0], v[0]);
  MT_NUMBERS(leaky_relu_vjp, 2, 1, "g: numpy.ndarray, x: numpy.ndarray, slope: float", in[0], in[1],
             v[0]);
  MT_NUMBERS(softplus, 1, 2, "x: numpy.ndarray, beta: float, threshold: float", in[0], v[0], v[1]);
  MT_NUMBERS(softplus_vjp, 2, 2,
             "g: numpy.ndarray, x: numpy.ndarray, beta: float, threshold: float", in[0], in[1],
             v[0], v[1]);

  MT_NUMBERS(elu, 1, 3, "x: numpy.ndarray, positive: float, negative: float, rate: float", in[0],
             v[0], v[1], v[2]);
  MT_NUMBERS(elu_vjp, 2, 3,
             "g: numpy.ndarray, x: numpy.ndarray, positive: float, negative: float, rate: float",
             in[0], in[1], v[0], v[1], v[2]);
  MT_UNARY(mish);
  MT_BINARY(mish_vjp, "g", "x");
  MT_NUMBERS(hardtanh_vjp, 2, 2, "g: numpy.ndarray, x: numpy.ndarray, low: float, high: float",
             in[0], in[1], v[0], v[1]);
  MT_UNARY(hardsigmoid);
  MT_BINARY(hardsigmoid_vjp, "g", "x");
  MT_UNARY(hardswish);
  MT_BINARY(hardswish_vjp, "g", "x");

  MT_NUMBERS(clamp, 1, 2, "x: numpy.ndarray, low: float, high: float", in[0], v[0], v[1]);
  MT_NUMBERS(clamp_vjp, 2, 2, "g: numpy.ndarray, x: numpy.ndarray, low: float, high: float", in[0],
             in[1], v[0], v[1]);
  MT_BINARY(maximum, "x", "y");
  MT_BINARY(minimum, "x", "y");
  MT_NUMBERS(maximum_vjp, 3, 0, "g: numpy.ndarray, x: numpy.ndarray, y: numpy.ndarray", in[0],
             in[1], in[2]);
  def_fast(m, "where",
           "where(x: numpy.ndarray | float, y: numpy.ndarray | float, condition: numpy.ndarray) -> "
           "numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             // The inputs' pointers are typed alike; the condition's is its own.
             const auto f = [](auto& k, auto* out, auto** in, auto& walk) {
               k.where(out, in[0], in[1], reinterpret_cast<const uint8_t*>(in[2]), walk);
             };
             if (given >= 3 && (!py::isinstance<Array>(arguments[2]) ||
                                !is<bool>(py::reinterpret_borrow<Array>(arguments[2]))))
               Py_RETURN_NONE;
             return run_call("where", loop(f), 3, 2, arguments, given);
           });
  m.attr("into") = into;
}

}  // namespace mt
