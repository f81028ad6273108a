// Elementwise kernels: the arrays are broadcast together into a Walk.
#include <cmath>
#include <cstring>

#include "../runtime/parallel.h"
#include "loops.h"

namespace mt {
namespace {

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

// An operand that is a transposed matrix along the two innermost axes of a large walk, in order:
// its copy by tiles costs less than to gather its columns, which lie in as many lines as they have
// elements.
constexpr int64_t kTurned = 1 << 12;  // elements; less is in the first cache
template <class T>
Array turned(const void*& x, int64_t (&stride)[kMaxDims], const Walk& walk) {
  Walk alone = walk;
  std::copy_n(stride, walk.ndim, alone.stride[1]);
  for (int64_t d = walk.ndim - 1, step = 1; d >= 0; step *= walk.size[d--])
    alone.stride[0][d] = step;
  Array out = empty<T>(Shape{walk.count});
  T* const to = data<T>(out);
  without_gil([&] { active<T>().copy(to, static_cast<const T*>(x), alone); });
  std::copy_n(alone.stride[0], walk.ndim, stride);
  x = out.data();
  return out;
}

// The loop on n operands, which hold doubles (`wide`) or floats. Into the array `into`, if one is
// given; null if that cannot be.
Array run_views(const char* name, const Loop& loop, bool wide, const View* in, int n,
                PyObject* into = nullptr) {
  Walk walk;
  PyObject* const dtype = loop.gives_bools ? descriptor<bool>()
                          : wide           ? descriptor<double>()
                                           : descriptor<float>();
  const size_t item = loop.gives_bools ? 1 : wide ? sizeof(double) : sizeof(float);
  Array out = planned(name, in, n, into, dtype, item, walk);
  if (!out) return out;
  void* to = const_cast<void*>(static_cast<const void*>(out.data()));
  const void* from[kMaxOperands] = {};
  std::optional<Array> held[kMaxOperands];
  for (int k = 0; k < n; ++k) {
    from[k] = in[k].data;
    auto& stride = walk.stride[k + 1];
    const int last = walk.ndim - 1;
    if (last == 0 || walk.count < kTurned || stride[last - 1] != 1 || stride[last] < 2) continue;
    if (in[k].item == 4)
      held[k] = turned<float>(from[k], stride, walk);
    else if (in[k].item == 8)
      held[k] = turned<double>(from[k], stride, walk);
  }
  const auto run = wide ? loop.on_double : loop.on_float;
  without_gil(walk.count, [&] { run(loop.f, to, from, walk); });
  return out;
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
// dtype, and an array for the result if one is given. Of integers, and of doubles where something
// is `better` for them, NumPy's ufunc has the loop; None where there is no ufunc.
PyObject* run_call(const char* name, const Loop& loop, int n, int typed, PyObject* const* arguments,
                   Py_ssize_t given, PyObject* ufunc = nullptr, bool better = false) {
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
    if (ufunc != nullptr && dtype != nullptr && dtype != descriptor<float>() &&
        (wide ? better : !better && (n > 1 || dtype != descriptor<bool>())))
      return numpy_loop(name, ufunc, arguments, n, into);
    if (wide ? better : dtype != descriptor<float>()) Py_RETURN_NONE;
    return run_arguments(name, loop, wide, arguments, n, into);
  } catch (...) {
    return raise_pending();
  }
}

// The same where after the n operands come `count` numbers for the loop.
PyObject* run_numbers(const char* name, const Loop& loop, int n, PyObject* const* arguments,
                      Py_ssize_t given, double* numbers, int count) {
  if (given != n + count) Py_RETURN_NONE;
  for (int k = 0; k < count; ++k) {
    numbers[k] = PyFloat_AsDouble(arguments[n + k]);
    if (numbers[k] == -1 && PyErr_Occurred()) return nullptr;
  }
  return run_call(name, loop, n, n, arguments, n);
}

// These take arrays and Python numbers, and give None where the arrays are not all float32 or all
// float64, or something else is given. What is given last, if there is one more, gets the result.
#define MT_UNARY_AS(name, ufunc, better)                                               \
  into.append(#name);                                                                  \
  def_fast(m, #name, #name "(x: numpy.ndarray, *out: numpy.ndarray) -> numpy.ndarray", \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {               \
             static PyObject* const numpy = ufunc;                                     \
             const auto f = [](auto& k, auto* out, auto** in, auto& walk) {            \
               k.name(out, in[0], walk);                                               \
             };                                                                        \
             return run_call(#name, loop(f), 1, 1, arguments, given, numpy, better);   \
           })
#define MT_UNARY(name) MT_UNARY_AS(name, nullptr, false)
#define MT_UNARY_OR(name, ufunc) MT_UNARY_AS(name, numpy_function(ufunc), false)
#define MT_UNARY_OF_FLOAT(name, ufunc) MT_UNARY_AS(name, numpy_function(ufunc), true)
#define MT_BINARY_AS(name, x, y, ufunc, better)                                      \
  into.append(#name);                                                                \
  def_fast(m, #name,                                                                 \
           #name "(" x ": numpy.ndarray | float, " y                                 \
                 ": numpy.ndarray | float, *out: numpy.ndarray) -> numpy.ndarray",   \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {             \
             static PyObject* const numpy = ufunc;                                   \
             const auto f = [](auto& k, auto* out, auto** in, auto& walk) {          \
               k.name(out, in[0], in[1], walk);                                      \
             };                                                                      \
             return run_call(#name, loop(f), 2, 2, arguments, given, numpy, better); \
           })
#define MT_BINARY(name, x, y) MT_BINARY_AS(name, x, y, nullptr, false)
#define MT_BINARY_OR(name, x, y, ufunc) MT_BINARY_AS(name, x, y, numpy_function(ufunc), false)

#define MT_COMPARE(name, how, turned, ufunc)                                                \
  def_fast(m, #name, #name "(x: numpy.ndarray, y: numpy.ndarray | float) -> numpy.ndarray", \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {                    \
             static PyObject* const numpy = numpy_function(ufunc);                          \
             const auto f = [](auto& k, bool* out, auto** in, auto& walk) {                 \
               k.compare(reinterpret_cast<uint8_t*>(out), in[0], in[1], how, walk);         \
             };                                                                             \
             PyObject* const operands[3] = {arguments[given > 1 && turned],                 \
                                            arguments[given > 1 && !turned],                \
                                            given > 2 ? arguments[2] : nullptr};            \
             return run_call(#name, loop_of_bools(f), 2, 2, operands, given, numpy);        \
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

// These take arrays of one dtype, and after them how much their difference counts.
#define MT_MEASURED(name, n, arguments_of_it, ...)                                              \
  MT_CALLED(#name, "(" arguments_of_it ", kind: str, delta: float) -> numpy.ndarray", ([=] {    \
              if (given != n + 2) throw py::type_error(#name ": takes arrays, kind and delta"); \
              const Measure m = measure(arguments[n], arguments[n + 1]);                        \
              const auto f = [&m](auto& k, auto* out, auto** in, auto& walk) {                  \
                k.name(out, __VA_ARGS__, m, walk);                                              \
              };                                                                                \
              return run_call(#name, loop(f), n, n, arguments, n);                              \
            }()))

template <class T>
void move_line(T* __restrict y, int64_t to, const T* __restrict x, int64_t from, int64_t n) {
  for (; n > 0; --n, y += to, x += from) *y = *x;
}

// out = x, where both have strides, of elements that no kernel takes; false if x is a transposed
// matrix, of which NumPy knows more, but for one of few columns: pixels, from planes of colours.
constexpr int64_t kFewColours = 4;
template <class T>
bool move_elements(T* out, const T* x, const Walk& walk) {
  const int last = walk.ndim - 1;
  const int64_t to = walk.stride[0][last], from = walk.stride[1][last], cols = walk.size[last];
  const bool turned = last > 0 && from > 1 && walk.stride[1][last - 1] < from;
  const bool pixels = turned && cols <= kFewColours;  // by columns, of rows in the first cache
  if (walk.count == 0) return true;
  if (turned && !pixels) return false;
  constexpr int64_t kRows = 2048;
  const int axis = pixels ? last - 1 : last;
  const int64_t unit = pixels ? cols : 1, next = walk.stride[0][axis], step = walk.stride[1][axis];
  for_ranges(walk.count / unit, even_grain(walk.count) / unit + 1, [&](int64_t begin, int64_t end) {
    Place place(walk, 1, begin * unit);
    while (begin < end) {
      const int64_t n = std::min({place.left(axis), end - begin, pixels ? kRows : end - begin});
      T* const y = out + place.offset[0];
      const T* const at = x + place.offset[1];
      if (pixels)
        for (int64_t c = 0; c < cols; ++c) move_line(y + c * to, next, at + c * from, step, n);
      else if (to == 1 && from == 1)
        std::memcpy(y, at, n * sizeof(T));
      else if (to == 1 && from == 0)
        std::fill(y, y + n, *at);
      else if (to == 1 && from == -1)
        for (int64_t i = 0; i < n; ++i) y[i] = at[-i];
      else
        move_line(y, to, at, from, n);
      place.advance(axis, n);
      begin += n;
    }
  });
  return true;
}

// f(T{}) for a T as wide as an element, which is copied as one whatever it is; whether there is
// one.
template <class F>
bool by_width(py::ssize_t item, const F& f) {
  if (item == 1)
    f(uint8_t{});
  else if (item == 2)
    f(uint16_t{});
  else if (item == 4)
    f(float{});
  else if (item == 8)
    f(double{});
  else
    return false;
  return true;
}

template <class T>
bool copy_as(const View& x, Array& y) {
  Walk walk;
  Sizes shape;
  if (!plan_row(&x, 1, walk, shape)) plan("copy", &x, 1, walk, shape);
  T* to = static_cast<T*>(y.mutable_data());
  const T* from = static_cast<const T*>(x.data);
  bool done = true;
  without_gil(walk.count, [&] {
    if constexpr (sizeof(T) < 4)
      done = move_elements(to, from, walk);
    else
      active<T>().copy(to, from, walk);
  });
  return done;
}

// out = in, broadcast; whether a kernel could.
bool put_view(const View& out, const View& in) {
  Walk walk;
  Sizes shape;
  int order[kMaxDims];
  const View both[2] = {in, out};
  if (!plan_row(both, 2, walk, shape)) {
    broadcast("put", both, 2, shape);
    if (shape.ndim != out.ndim || !std::equal(shape.n, shape.n + shape.ndim, out.shape))
      return false;
    order_of(&out, 1, shape, order);
    plan("put", &in, 1, shape, order, walk, &out);
  }
  bool done = true;
  return by_width(out.item,
                  [&](auto t) {
                    using T = decltype(t);
                    T* y = static_cast<T*>(const_cast<void*>(out.data));
                    const T* x = static_cast<const T*>(in.data);
                    without_gil(walk.count, [&] {
                      if constexpr (sizeof(T) < 4)
                        done = move_elements(y, x, walk);
                      else
                        active<T>().put(y, x, walk);
                    });
                  }) &&
         done;
}

// to = from, broadcast, in the memory of `to`: whether the kernel could. A number is converted.
bool put(const Array& to, const py::object& value) {
  if (to.dtype().flags() || !to.writeable() || to.size() == 0) return false;
  py::object held[2];
  double number;
  const View out = view(to, held[0]);
  View in;
  if (PyFloat_CheckExact(value.ptr()) && (is<float>(to) || is<double>(to))) {
    number = PyFloat_AS_DOUBLE(value.ptr());
    if (is<float>(to)) {
      const auto single = static_cast<float>(number);
      std::memcpy(&number, &single, sizeof single);
    }
    in.data = &number;
    in.item = out.item;
  } else {
    if (!py::isinstance<Array>(value)) return false;
    const auto from = py::reinterpret_borrow<Array>(value);
    if (!to.dtype().is(from.dtype())) return false;
    in = view(from, held[1]);
  }
  if (held[0] || held[1]) return false;
  for (int d = 0; d < out.ndim; ++d)
    if (out.strides[d] == 0 && out.shape[d] > 1) return false;
  // What they cover, from the least address to the last, must not meet.
  const char *low[2], *high[2];
  bounds(out, low[0], high[0]);
  bounds(in, low[1], high[1]);
  if (low[0] < high[1] && low[1] < high[0]) return false;
  return put_view(out, in);
}

}  // namespace

Element element_of(const py::dtype& dtype) {
  static const std::pair<PyObject*, Element> known[] = {
      {descriptor<bool>(), kBool},     {descriptor<uint8_t>(), kByte},
      {descriptor<int8_t>(), kInt8},   {descriptor<int16_t>(), kInt16},
      {descriptor<int32_t>(), kInt32}, {descriptor<int64_t>(), kInt64},
      {descriptor<float>(), kFloat},   {descriptor<double>(), kDouble}};
  for (const auto& [d, element] : known)
    if (d == dtype.ptr()) return element;
  if (dtype.itemsize() == 2 && dtype.byteorder() == '=' && dtype.char_() == 'e') return kHalf;
  return dtype.itemsize() == 2 && dtype.char_() == 'E' ? kBfloat16 : kElements;
}

namespace {

// x in another dtype, or None where there is no kernel for that. It lies as x does if that is
// without gaps.
py::object cast(const Array& x, const py::dtype& dtype) {
  const Element from = element_of(x.dtype()), to = element_of(dtype);
  if (from == kElements || to == kElements) return py::none();
  if (from == to) return copied(x);
  py::object held;
  const View in = view(x, held);
  Walk walk;
  Sizes shape;
  int order[kMaxDims];
  Array dense = x, y;
  bool gaps = true;
  if (!in.contiguous && !held) {
    broadcast("cast", &in, 1, shape);
    order_of(&in, 1, shape, order);
    plan("cast", &in, 1, shape, order, walk);
    gaps = walk.ndim > 1 || walk.stride[1][0] != 1;
  }
  if (!gaps) {
    y = empty_in_order(dtype.ptr(), dtype.itemsize(), shape, order);
  } else {
    dense = contiguous(x);
    y = empty(dtype, shape_of(x));
  }
  void* out = const_cast<void*>(y.data());
  const void* data = dense.data();
  const int64_t n = x.size();
  without_gil(n, [&] { active<float>().cast(out, to, data, from, n); });
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
  bool whole = true;
  const auto* a = py::detail::array_proxy(x.ptr());
  whole = whole && a->flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  for (int d = 0; d < a->nd; ++d) whole = whole && a->strides[d] % size == 0;
  bool done = true;
  const auto copy = [&](auto t) {
    if (y.size() > 0) done = copy_as<decltype(t)>(view(x, held), y);
  };
  const bool copied = whole && by_width(size, copy) && done;
  if (!copied && py::detail::npy_api::get().PyArray_CopyInto_(y.ptr(), x.ptr()) < 0)
    throw py::error_already_set();
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
  def_fast(m, "cast", "cast(x: numpy.ndarray, dtype: numpy.dtype) -> numpy.ndarray", typed<cast>);
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
  MT_BINARY_OR(add, "x", "y", "add");
  MT_BINARY_OR(sub, "x", "y", "subtract");
  MT_BINARY_OR(mul, "x", "y", "multiply");
  MT_BINARY(div, "x", "y");
  MT_UNARY_OR(neg, "negative");
  MT_UNARY_OR(square, "square");
  MT_UNARY(reciprocal);
  MT_BINARY_AS(pow, "x", "y", numpy_function("power"), true);
  MT_BINARY(hypot, "x", "y");
  MT_BINARY_AS(atan2, "y", "x", numpy_function("arctan2"), true);
  MT_BINARY_OR(fmod, "x", "y", "fmod");
  MT_BINARY_OR(remainder, "x", "y", "remainder");
  MT_BINARY(prelu, "x", "slope");
  MT_UNARY(frac);
  MT_UNARY_OF_FLOAT(log2, "log2");
  MT_UNARY_OF_FLOAT(log10, "log10");
  MT_UNARY_OF_FLOAT(tan, "tan");
  MT_UNARY_OF_FLOAT(atan, "arctan");
  MT_UNARY_OF_FLOAT(asin, "arcsin");
  MT_UNARY_OF_FLOAT(acos, "arccos");
  MT_UNARY_OF_FLOAT(sinh, "sinh");
  MT_UNARY_OF_FLOAT(atanh, "arctanh");
  MT_UNARY_AS(lgamma, nullptr, true);
  MT_UNARY_AS(digamma, nullptr, true);
  MT_UNARY_AS(erfinv, nullptr, true);
  MT_NUMBERS(sinc, 1, 1, "x: numpy.ndarray, slope: bool", in[0], v[0]);
  MT_UNARY(softsign);
  MT_BINARY(copysign, "x", "y");
  MT_NUMBERS(nan_to_num, 1, 3, "x: numpy.ndarray, nan: float, high: float, low: float", in[0], v[0],
             v[1], v[2]);
  MT_NUMBERS(threshold, 1, 2, "x: numpy.ndarray, least: float, value: float", in[0], v[0], v[1]);
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
  // `kind` is squared, absolute or huber
  MT_MEASURED(error, 2, "x: numpy.ndarray, y: numpy.ndarray", in[0], in[1]);
  MT_MEASURED(error_vjp, 3, "g: numpy.ndarray, x: numpy.ndarray, y: numpy.ndarray", in[0], in[1],
              in[2]);
  def_fast(m, "pow_scalar", "pow_scalar(x: numpy.ndarray, y: float) -> numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             if (given != 2 || !(PyFloat_Check(arguments[1]) || PyLong_Check(arguments[1])))
               Py_RETURN_NONE;
             const double y = PyFloat_AsDouble(arguments[1]);
             if (y == -1 && PyErr_Occurred()) return nullptr;
             static PyObject* const numpy = numpy_function("power");
             const bool plain =
                 y == 1 || y == 2 || y == 3 || std::abs(y) == 0.5 || y == -1 || y == -2;
             if (!plain && py::isinstance<Array>(arguments[0]) &&
                 is<double>(py::reinterpret_borrow<Array>(arguments[0])))
               return numpy_loop("pow", numpy, arguments, 2, nullptr);
             const auto f = [y](auto& k, auto* out, auto** in, auto& walk) {
               k.pow_scalar(out, in[0], y, walk);
             };
             return run_call("pow", loop(f), 1, 1, arguments, 1);
           });

  MT_UNARY_OR(abs, "absolute");
  MT_UNARY_OR(sign, "sign");
  MT_UNARY(exp);
  MT_UNARY_AS(log, numpy_function("log"), std::strcmp(isa(), "avx512") == 0);
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
  MT_COMPARE(eq, kEqual, false, "equal");
  MT_COMPARE(ne, kNotEqual, false, "not_equal");
  MT_COMPARE(lt, kLess, false, "less");
  MT_COMPARE(le, kLessEqual, false, "less_equal");
  MT_COMPARE(gt, kLess, true, "less");
  MT_COMPARE(ge, kLessEqual, true, "less_equal");
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

  def_fast(m, "clamp",
           "clamp(x: numpy.ndarray, low: float, high: float, *out: numpy.ndarray) -> numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             if (given != 3 && given != 4) Py_RETURN_NONE;
             const double low = PyFloat_AsDouble(arguments[1]);
             const double high = PyFloat_AsDouble(arguments[2]);
             if (PyErr_Occurred()) return nullptr;
             const auto f = [=](auto& k, auto* out, auto** in, auto& walk) {
               k.clamp(out, in[0], low, high, walk);
             };
             PyObject* const operands[2] = {arguments[0], given == 4 ? arguments[3] : nullptr};
             return run_call("clamp", loop(f), 1, 1, operands, given - 2);
           });
  MT_NUMBERS(clamp_vjp, 2, 2, "g: numpy.ndarray, x: numpy.ndarray, low: float, high: float", in[0],
             in[1], v[0], v[1]);
  MT_BINARY_OR(maximum, "x", "y", "maximum");
  MT_BINARY_OR(minimum, "x", "y", "minimum");
  MT_NUMBERS(maximum_vjp, 3, 0, "g: numpy.ndarray, x: numpy.ndarray, y: numpy.ndarray", in[0],
             in[1], in[2]);
  def_fast(
      m, "where",
      "where(x: numpy.ndarray | float, y: numpy.ndarray | float, condition: numpy.ndarray, *out: "
      "numpy.ndarray) -> numpy.ndarray",
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
