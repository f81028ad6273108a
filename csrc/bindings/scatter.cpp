#include "common.h"

namespace mt {
namespace {

// (outer, n, inner): the sizes before, along and after `dim`.
struct Around {
  int64_t outer = 1, n = 1, inner = 1;
};

Around around(const char* name, const Shape& shape, py::ssize_t dim) {
  if (dim < 0 || dim >= static_cast<py::ssize_t>(shape.size()))
    fail(std::string(name) + ": there is no axis " + std::to_string(dim) + " in " +
         describe(shape));
  Around a;
  for (py::ssize_t d = 0; d < static_cast<py::ssize_t>(shape.size()); ++d)
    (d < dim ? a.outer : d == dim ? a.n : a.inner) *= shape[d];
  return a;
}

// The index as a contiguous int64 array whose entries all lie in 0..n-1; -1 is n - 1, and so on.
Array checked(const char* name, const Array& index, int64_t n) {
  if (!is<int64_t>(index)) fail_dtype(std::string(name) + ": the index must be int64");
  const Array in = contiguous(index);
  const int64_t *p = data<int64_t>(in), count = in.size();
  int64_t signs = 0;
  bool wrong = false;
  for (int64_t i = 0; i < count; ++i) {  // without a branch
    signs |= p[i];
    wrong |= (p[i] < -n) | (p[i] >= n);
  }
  for (int64_t i = 0; wrong && i < count; ++i)
    if (p[i] < -n || p[i] >= n)
      fail_index(std::string(name) + ": index " + std::to_string(p[i]) +
                 " is out of range for an axis of size " + std::to_string(n));
  if (signs >= 0) return in;
  Array turned = empty<int64_t>(shape_of(in));
  int64_t* to = data<int64_t>(turned);
  for (int64_t i = 0; i < count; ++i) to[i] = p[i] < 0 ? p[i] + n : p[i];
  return turned;
}

// y (*x's sizes before dim, *index's sizes, *x's after) = x at index along dim.
Array index_select(const Array& x, const Array& index, py::ssize_t dim) {
  const auto typed = [&](auto t) {
    using T = decltype(t);
    Shape shape = shape_of(x);
    const Around a = around("index_select", shape, dim);
    const Array at = checked("index_select", index, a.n), from = contiguous(x);
    shape.erase(shape.begin() + dim);
    shape.insert(shape.begin() + dim, index.shape(), index.shape() + index.ndim());
    Array y = empty<T>(shape);
    if (y.size() == 0) return y;
    T* to = data<T>(y);
    const T* px = data<T>(from);
    const int64_t *pi = data<int64_t>(at), count = at.size();
    without_gil([&] { active<T>().index_select(to, px, pi, a.outer, a.n, count, a.inner); });
    return y;
  };
  return by_dtype("index_select", typed, x);
}

// The transpose: dx, of size n along dim, from g (*before, *index's sizes, *after).
Array index_add(const Array& g, const Array& index, py::ssize_t dim, int64_t n) {
  const auto typed = [&](auto t) {
    using T = decltype(t);
    Shape shape = shape_of(g);
    const py::ssize_t axes = index.ndim();
    require(n >= 0 && dim >= 0 && dim + axes <= g.ndim(), "index_add: g has too few axes");
    for (py::ssize_t d = 0; d < axes; ++d)
      require(shape[dim + d] == index.shape(d), "index_add: g must have the index's sizes");
    shape.erase(shape.begin() + dim, shape.begin() + dim + axes);
    shape.insert(shape.begin() + dim, n);
    const Around a = around("index_add", shape, dim);
    const Array at = checked("index_add", index, n), from = contiguous(g);
    Array dx = empty<T>(shape);
    if (dx.size() == 0) return dx;
    T* to = data<T>(dx);
    const T* pg = data<T>(from);
    const int64_t *pi = data<int64_t>(at), count = at.size();
    without_gil([&] { active<T>().index_add(to, pg, pi, a.outer, n, count, a.inner, -1); });
    return dx;
  };
  return by_dtype("index_add", typed, g);
}

// y, of index's sizes, from x, of the same sizes but along dim.
Array gather(const Array& x, const Array& index, py::ssize_t dim) {
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Shape shape = shape_of(index), whole = shape_of(x);
    const Around a = around("gather", whole, dim), b = around("gather", shape, dim);
    require(whole.size() == shape.size() && a.outer == b.outer && a.inner == b.inner,
            "gather: the index must have the sizes of x but along dim");
    const Array at = checked("gather", index, a.n), from = contiguous(x);
    Array y = empty<T>(shape);
    if (y.size() == 0) return y;
    T* to = data<T>(y);
    const T* px = data<T>(from);
    const int64_t* pi = data<int64_t>(at);
    without_gil([&] { active<T>().gather(to, px, pi, a.outer, a.n, b.n, a.inner); });
    return y;
  };
  return by_dtype("gather", typed, x);
}

// The transpose: dx, of size n along dim, from g, of index's sizes.
Array scatter_add(const Array& g, const Array& index, py::ssize_t dim, int64_t n) {
  const auto typed = [&](auto t) {
    using T = decltype(t);
    Shape shape = shape_of(index);
    require(shape_of(g) == shape, "scatter_add: g must have the index's sizes");
    require(n >= 0, "scatter_add: n must not be negative");
    const Around a = around("scatter_add", shape, dim);
    const Array at = checked("scatter_add", index, n), from = contiguous(g);
    shape[dim] = n;
    Array dx = empty<T>(shape);
    if (dx.size() == 0) return dx;
    T* to = data<T>(dx);
    const T* pg = data<T>(from);
    const int64_t* pi = data<int64_t>(at);
    without_gil([&] { active<T>().scatter_add(to, pg, pi, a.outer, n, a.n, a.inner); });
    return dx;
  };
  return by_dtype("scatter_add", typed, g);
}

// A view of x in which axes of size 1, and new ones in front, are repeated at stride 0.
Array expand(const Array& x, const py::tuple& sizes) {
  Shape shape;
  for (const py::handle n : sizes) shape.push_back(n.cast<py::ssize_t>());
  const py::ssize_t added = static_cast<py::ssize_t>(shape.size()) - x.ndim();
  bool fits = added >= 0;
  Shape strides(shape.size(), 0);
  for (py::ssize_t d = 0; fits && d < x.ndim(); ++d) {
    fits = x.shape(d) == 1 || x.shape(d) == shape[added + d];
    if (x.shape(d) == shape[added + d]) strides[added + d] = x.strides(d);
  }
  for (py::ssize_t n : shape) fits = fits && n >= 0;
  if (!fits) fail("expand: " + describe(shape_of(x)) + " cannot be expanded to " + describe(shape));
  return Array(x.dtype(), shape, strides, x.data(), x);
}

// The arrays joined along `dim`; None where they are not all of one dtype of 4 or 8 bytes.
PyObject* cat(PyObject* const* arguments, Py_ssize_t given) {
  const py::ssize_t dim = given > 1 ? PyLong_AsSsize_t(arguments[0]) : -1;
  if (dim < 0) {
    PyErr_Clear();
    Py_RETURN_NONE;
  }
  std::vector<Array> parts;
  Shape shape;
  for (Py_ssize_t k = 1; k < given; ++k) {
    if (!py::isinstance<Array>(arguments[k])) Py_RETURN_NONE;
    const auto x = py::reinterpret_borrow<Array>(arguments[k]);
    const auto* a = py::detail::array_proxy(x.ptr());
    if (k == 1) {
      if ((x.itemsize() != 4 && x.itemsize() != 8) || x.dtype().flags() || dim >= x.ndim())
        Py_RETURN_NONE;
      shape = shape_of(x);
    } else {
      if (a->descr != py::detail::array_proxy(arguments[1])->descr) Py_RETURN_NONE;
      if (a->nd != static_cast<int>(shape.size())) Py_RETURN_NONE;
      for (int d = 0; d < a->nd; ++d)
        if (d != dim && a->dimensions[d] != shape[d]) Py_RETURN_NONE;
      shape[dim] += a->dimensions[dim];
    }
    parts.push_back(contiguous(x));
  }
  Array out = empty(parts[0].dtype(), shape);
  int64_t outer = 1, inner = 1;
  for (size_t d = 0; d < shape.size(); ++d)
    (static_cast<py::ssize_t>(d) < dim ? outer : inner) *=
        d == static_cast<size_t>(dim) ? 1 : shape[d];
  std::vector<int64_t> width;
  std::vector<const void*> from;
  for (const Array& x : parts) {
    width.push_back(x.shape(dim) * inner);
    from.push_back(x.data());
  }
  const auto run = [&](auto t) {
    using T = decltype(t);
    T* to = static_cast<T*>(out.mutable_data());
    const int64_t count = static_cast<int64_t>(parts.size());
    const T* const* at = reinterpret_cast<const T* const*>(from.data());
    const auto call = [&] { active<T>().cat(to, at, width.data(), count, outer); };
    if (out.size() < 4096)
      call();
    else
      without_gil(call);
  };
  out.itemsize() == 4 ? run(float{}) : run(double{});
  return out.release().ptr();
}

}  // namespace

void bind_scatter(py::module_& m) {
  def_fast(m, "cat", "cat(dim: int, *x: numpy.ndarray) -> numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             try {
               return cat(arguments, given);
             } catch (...) {
               return raise_pending();
             }
           });
  m.def("index_select", index_select, py::arg("x"), py::arg("index"), py::arg("dim"));
  m.def("index_add", index_add, py::arg("g"), py::arg("index"), py::arg("dim"), py::arg("n"));
  m.def("gather", gather, py::arg("x"), py::arg("index"), py::arg("dim"));
  m.def("scatter_add", scatter_add, py::arg("g"), py::arg("index"), py::arg("dim"), py::arg("n"));
  m.def("expand", expand, py::arg("x"), py::arg("shape"));
}

}  // namespace mt
