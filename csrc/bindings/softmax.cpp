// Softmax, its logarithm and their vjps: all along the middle axis of (outer, n, inner).
#include <algorithm>

#include "common.h"

namespace mt {

namespace {

// (outer, n, inner) of an array around an axis, of which an array without axes has one of size 1.
struct Lines {
  int64_t outer = 1, n = 1, inner = 1;

  Lines(const Array& x, py::ssize_t dim) {
    for (py::ssize_t d = 0; d < x.ndim(); ++d)
      (d < dim ? outer : d == dim ? n : inner) *= x.shape(d);
  }
};

// y = kernel(table, y, arrays..., outer, n, inner), of the arrays' common shape and dtype; None for
// another dtype or if there is no such axis. Python gives the arrays, then the axis.
template <int arrays, class Kernel>  // one or two
PyObject* along(const char* op, const Kernel& kernel, PyObject* const* arguments,
                Py_ssize_t given) {
  try {
    if (given != arrays + 1)
      throw py::type_error(std::string(op) + ": takes " + std::to_string(arrays) +
                           " arrays and an axis");
    for (int k = 0; k < arrays; ++k)
      if (!py::isinstance<Array>(arguments[k])) Py_RETURN_NONE;
    Array in[] = {py::reinterpret_borrow<Array>(arguments[0]),
                  py::reinterpret_borrow<Array>(arguments[arrays - 1])};
    for (int k = 0; k < arrays; ++k) {
      if (!(is<float>(in[0]) ? is<float>(in[k]) : is<double>(in[0]) && is<double>(in[k])))
        Py_RETURN_NONE;
      const auto *x = in[0].shape(), *y = in[k].shape();
      if (in[k].ndim() != in[0].ndim() || !std::equal(x, x + in[0].ndim(), y))
        fail(std::string(op) + ": the shapes " + describe(shape_of(in[0])) + " and " +
             describe(shape_of(in[k])) + " differ");
    }
    const auto dim = axis_of(arguments[arrays], std::max<py::ssize_t>(in[0].ndim(), 1));
    if (dim < 0) Py_RETURN_NONE;
    const Lines lines(in[0], dim);
    const auto run = [&](auto t) {
      using T = decltype(t);
      const T* from[arrays];
      for (int k = 0; k < arrays; ++k) {
        in[k] = contiguous(in[k]);
        from[k] = static_cast<const T*>(in[k].data());
      }
      Array y = empty<T>(static_cast<int>(in[0].ndim()), in[0].shape());
      T* to = data<T>(y);
      if (y.size() > 0)
        without_gil(y.size(),
                    [&] { kernel(active<T>(), to, from, lines.outer, lines.n, lines.inner); });
      return y.release().ptr();
    };
    return is<float>(in[0]) ? run(float{}) : run(double{});
  } catch (...) {
    return raise_pending();
  }
}

#define MT_ALONG(name, arrays, signature, ...)                              \
  def_fast(m, #name, #name signature,                                       \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {    \
             const auto f = [](auto& k, auto* y, auto** x, auto... sizes) { \
               k.name(y, __VA_ARGS__, sizes...);                            \
             };                                                             \
             return along<arrays>(#name, f, arguments, given);              \
           })

}  // namespace

void bind_softmax(py::module_& m) {
  MT_ALONG(softmax, 1, "(x: numpy.ndarray, dim: int) -> numpy.ndarray", x[0]);
  MT_ALONG(softmax_vjp, 2, "(g: numpy.ndarray, y: numpy.ndarray, dim: int) -> numpy.ndarray", x[0],
           x[1]);
  MT_ALONG(log_softmax, 1, "(x: numpy.ndarray, dim: int) -> numpy.ndarray", x[0]);
  MT_ALONG(log_softmax_vjp, 2, "(g: numpy.ndarray, y: numpy.ndarray, dim: int) -> numpy.ndarray",
           x[0], x[1]);
}

}  // namespace mt
