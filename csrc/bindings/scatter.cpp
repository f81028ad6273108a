#include "walks.h"

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

// Whether the first `n` arguments are arrays that hold alike float32 or float64, and the next one
// of int64.
bool fit(PyObject* const* arguments, int n) {
  for (int k = 0; k <= n; ++k)
    if (!py::isinstance<Array>(arguments[k])) return false;
  const auto dtype = [&](int k) { return py::detail::array_proxy(arguments[k])->descr; };
  if (dtype(0) != descriptor<float>() && dtype(0) != descriptor<double>()) return false;
  return (n == 1 || dtype(1) == dtype(0)) && dtype(n) == descriptor<int64_t>();
}

Array array(PyObject* x) { return py::reinterpret_borrow<Array>(x); }

// y (*x's sizes before dim, *index's sizes, *x's after) = x at index along dim; the index is
// checked in all of these.
Array index_select(const Array& x, const Array& index, py::ssize_t dim) {
  const auto typed = [&](auto t) {
    using T = decltype(t);
    Shape shape = shape_of(x);
    const Around a = around("index_select", shape, dim);
    const Array at = contiguous(index), from = contiguous(x);
    shape.erase(shape.begin() + dim);
    shape.insert(shape.begin() + dim, index.shape(), index.shape() + index.ndim());
    Array y = empty<T>(shape);
    if (y.size() == 0) return y;
    T* to = data<T>(y);
    const T* px = data<T>(from);
    const int64_t *pi = data<int64_t>(at), count = at.size();
    without_gil(y.size(),
                [&] { active<T>().index_select(to, px, pi, a.outer, a.n, count, a.inner); });
    return y;
  };
  return by_dtype("index_select", typed, x);
}

// What is added to or replaced in: `x` as a contiguous array of T of this shape, or nothing.
template <class T>
Array base_of(const char* name, const py::object& x, const Shape& shape) {
  const auto given = py::reinterpret_borrow<Array>(x);
  require(py::isinstance<Array>(x) && shape_of(given) == shape, "a scatter's x has other sizes");
  if (!is<T>(given)) fail_dtype(std::string(name) + ": the arrays' dtypes differ");
  return contiguous(given);
}

// The transpose: x or zeros, of size n along dim, to which g (*before, *index's sizes, *after) is
// added, or which it replaces there.
Array index_add(const Array& g, const Array& index, py::ssize_t dim, int64_t n, const py::object& x,
                bool replace, const std::optional<Array>& into = {}) {
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
    const Array at = contiguous(index), from = contiguous(g);
    const Array base = x.is_none() ? from : base_of<T>("index_add", x, shape);
    Array y = into ? *into : empty<T>(shape);
    if (y.size() == 0) return y;
    T* to = data<T>(y);
    const T *pg = data<T>(from), *px = x.is_none() ? nullptr : data<T>(base);
    const int64_t *pi = data<int64_t>(at), count = at.size();
    without_gil(y.size() + g.size(), [&] {
      active<T>().index_add(to, px, pg, pi, a.outer, n, count, a.inner, -1, replace);
    });
    return y;
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
    const Array at = contiguous(index), from = contiguous(x);
    Array y = empty<T>(shape);
    if (y.size() == 0) return y;
    T* to = data<T>(y);
    const T* px = data<T>(from);
    const int64_t* pi = data<int64_t>(at);
    without_gil(y.size(), [&] { active<T>().gather(to, px, pi, a.outer, a.n, b.n, a.inner); });
    return y;
  };
  return by_dtype("gather", typed, x);
}

// The transpose: x or zeros, of size n along dim, to which g, of index's sizes, is added, or which
// it replaces there, or of both the largest or the least.
Array scatter(const Array& g, const Array& index, py::ssize_t dim, int64_t n, const py::object& x,
              int how, const std::optional<Array>& into = {}) {
  const auto typed = [&](auto t) {
    using T = decltype(t);
    Shape shape = shape_of(index);
    require(shape_of(g) == shape, "scatter: g must have the index's sizes");
    require(n >= 0, "scatter: n must not be negative");
    require(kSum <= how && how <= kProduct, "scatter: there is no such way to join");
    const Around a = around("scatter", shape, dim);
    const Array at = contiguous(index), from = contiguous(g);
    shape[dim] = n;
    const Array base = x.is_none() ? from : base_of<T>("scatter", x, shape);
    Array y = into ? *into : empty<T>(shape);
    if (y.size() == 0) return y;
    T* to = data<T>(y);
    const T *pg = data<T>(from), *px = x.is_none() ? nullptr : data<T>(base);
    const int64_t* pi = data<int64_t>(at);
    without_gil(y.size() + g.size(),
                [&] { active<T>().scatter(to, px, pg, pi, a.outer, n, a.n, a.inner, Join(how)); });
    return y;
  };
  return by_dtype("scatter", typed, g);
}

// The index as a contiguous array that lies in 0 .. n - 1: a number below 0 counts from the end if
// `turning`, and else there is none.
std::optional<Array> within(const char* name, const Array& index, int64_t n, bool turning) {
  if (turning) return checked_index(name, index, n);
  if (!lies_within(index, 0, n)) return std::nullopt;
  return contiguous(index);
}

// What Python calls: None where the arrays are no such, or not laid out for the kernel, or the
// index does not lie in 0 .. n - 1. With one more argument it may be negative, and errors are
// raised.
PyObject* call_index_select(PyObject* const* arguments, Py_ssize_t given) {
  if ((given != 3 && given != 4) || !fit(arguments, 1)) Py_RETURN_NONE;
  const Array x = array(arguments[0]);
  const py::ssize_t dim = axis_of(arguments[2], x.ndim());
  if (dim < 0 || !(x.flags() & Array::c_style)) Py_RETURN_NONE;  // it would copy all of x
  const auto at = within("index_select", array(arguments[1]), x.shape(dim), given == 4);
  if (!at) Py_RETURN_NONE;
  return index_select(x, *at, dim).release().ptr();
}

bool same_but_along(const Array& x, const Array& y, py::ssize_t dim) {
  for (py::ssize_t d = 0; d < x.ndim(); ++d)
    if (d != dim && x.shape(d) != y.shape(d)) return false;
  return true;
}

PyObject* call_gather(PyObject* const* arguments, Py_ssize_t given) {
  if ((given != 3 && given != 4) || !fit(arguments, 1)) Py_RETURN_NONE;
  const Array x = array(arguments[0]), index = array(arguments[1]);
  const py::ssize_t dim = axis_of(arguments[2], x.ndim());
  if (dim < 0 || x.ndim() != index.ndim() || !same_but_along(x, index, dim)) Py_RETURN_NONE;
  const auto at = within("gather", index, x.shape(dim), given == 4);
  if (!at) Py_RETURN_NONE;
  return gather(x, *at, dim).release().ptr();
}

// Whether `into` is x's own contiguous memory, of which src has nothing.
bool is_place_of(const Array& into, const Array& x, const Array& src) {
  if (!fillable(into) || into.data() != x.data() || shape_of(into) != shape_of(x)) return false;
  const auto* const begin = static_cast<const char*>(into.data());
  const auto* const from = static_cast<const char*>(src.data());
  return !(src.flags() & Array::c_style) || from >= begin + into.nbytes() ||
         begin >= from + src.nbytes();
}

// x with src added or put at an index along dim: (x, src, index, dim, add), by slices or elements.
// With an array after them, which must be x's own, in that.
PyObject* call_write(bool slices, PyObject* const* arguments, Py_ssize_t given) {
  if ((given != 5 && given != 6) || !fit(arguments, 2)) Py_RETURN_NONE;
  const Array x = array(arguments[0]), src = array(arguments[1]), index = array(arguments[2]);
  const py::ssize_t dim = axis_of(arguments[3], x.ndim());
  if (dim < 0 || src.ndim() != x.ndim() || !same_but_along(x, src, dim)) Py_RETURN_NONE;
  if (index.ndim() != (slices ? 1 : x.ndim())) Py_RETURN_NONE;
  for (py::ssize_t d = 0; d < index.ndim(); ++d)
    if (index.shape(d) != src.shape(slices ? dim : d)) Py_RETURN_NONE;
  const bool replace = PyObject_IsTrue(arguments[4]) == 0;
  const int64_t n = x.shape(dim);
  std::optional<Array> into;
  if (given == 6 && py::isinstance<Array>(arguments[5])) {
    into = array(arguments[5]);
    if (!is_place_of(*into, x, src)) Py_RETURN_NONE;
  }
  const auto at = within(slices ? "index_add" : "scatter", index, n, given == 6 && !into);
  if (!at) Py_RETURN_NONE;
  const Array out = slices ? index_add(src, *at, dim, n, x, replace, into)
                           : scatter(src, *at, dim, n, x, replace ? kReplaced : kSum, into);
  return py::object(out).release().ptr();
}

// Whether an index of int64 lies in least .. n - 1; None for another dtype.
PyObject* lies_within(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 3 || !py::isinstance<Array>(arguments[0])) Py_RETURN_NONE;
  const auto index = py::reinterpret_borrow<Array>(arguments[0]);
  const int64_t least = PyLong_AsLongLong(arguments[1]), n = PyLong_AsLongLong(arguments[2]);
  if (PyErr_Occurred()) throw py::error_already_set();
  if (!is<int64_t>(index)) Py_RETURN_NONE;
  return PyBool_FromLong(mt::lies_within(index, least, n));
}

// Whether x stands for an array without sizes.
bool is_nothing(PyObject* x) {
  return py::detail::array_descriptor_proxy(py::detail::array_proxy(x)->descr)->kind == 'V';
}

// A view of x's memory from `start` bytes on; without strides it is contiguous.
PyObject* view_of(PyObject* x, int ndim, const py::ssize_t* shape, const py::ssize_t* strides,
                  py::ssize_t start = 0) {
  const auto& api = py::detail::npy_api::get();
  const auto* a = py::detail::array_proxy(x);
  const int flags = a->flags & ~py::detail::npy_api::NPY_ARRAY_OWNDATA_;
  Py_INCREF(a->descr);  // which the view takes over
  PyObject* const view = api.PyArray_NewFromDescr_(api.PyArray_Type_, a->descr, ndim, shape,
                                                   strides, a->data + start, flags, nullptr);
  if (view == nullptr) return nullptr;
  Py_INCREF(x);  // likewise, also where it fails
  if (api.PyArray_SetBaseObject_(view, x) < 0) {
    Py_DECREF(view);
    return nullptr;
  }
  return view;
}

// Whether a part of an index is an int, a slice of ints that goes forward, None or ...
bool is_plain(PyObject* part) {
  if (!PySlice_Check(part))
    return PyLong_CheckExact(part) || part == Py_None || part == Py_Ellipsis;
  const auto* slice = reinterpret_cast<PySliceObject*>(part);
  for (PyObject* end : {slice->start, slice->stop, slice->step})
    if (end != Py_None && !PyLong_CheckExact(end)) return false;
  py::ssize_t from, to, step;
  const bool known = PySlice_Unpack(part, &from, &to, &step) == 0;
  PyErr_Clear();
  return known && step > 0;
}

// The parts of an index: those of a tuple, else it is one itself.
struct Parts {
  explicit Parts(PyObject* const& index) : first(&index), count(1) {
    if (!PyTuple_Check(index)) return;
    first = &PyTuple_GET_ITEM(index, 0);
    count = PyTuple_GET_SIZE(index);
  }
  PyObject* const* begin() const { return first; }
  PyObject* const* end() const { return first + count; }
  PyObject* const* first;
  Py_ssize_t count;
};

// Whether all parts of an index are plain, so that it gives a view.
PyObject* gives_view(PyObject* const* arguments, Py_ssize_t given) {
  const Parts parts(arguments[0]);
  return PyBool_FromLong(given == 1 && std::all_of(parts.begin(), parts.end(), is_plain));
}

// The view of x at an index of plain parts; null for another, and for one that lies outside x.
PyObject* view_at(PyObject* given_x, const Parts& parts) {
  const auto* x = py::detail::array_proxy(given_x);
  py::ssize_t rest = x->nd;  // the axes that no part names, for ...
  for (PyObject* part : parts) rest -= part != Py_None && part != Py_Ellipsis;
  if (rest < 0 || x->nd + parts.count > kMaxDims) return nullptr;
  py::ssize_t shape[kMaxDims], strides[kMaxDims], start = 0;
  int axis = 0, ndim = 0;
  const auto keep = [&] {
    for (; rest > 0; --rest) {
      shape[ndim] = x->dimensions[axis];
      strides[ndim++] = x->strides[axis++];
    }
  };
  bool dots = false;
  for (PyObject* part : parts) {
    if (!is_plain(part)) return nullptr;
    if (part == Py_None) {
      shape[ndim] = 1;
      strides[ndim++] = 0;
    } else if (part == Py_Ellipsis) {
      if (dots) return nullptr;
      dots = true;
      keep();
    } else if (PyLong_CheckExact(part)) {
      const py::ssize_t i = axis_of(part, x->dimensions[axis]);
      if (i < 0) return nullptr;
      start += i * x->strides[axis++];
    } else {
      py::ssize_t from, to, step;
      if (PySlice_Unpack(part, &from, &to, &step) < 0) return nullptr;
      shape[ndim] = PySlice_AdjustIndices(x->dimensions[axis], &from, &to, step);
      start += from * x->strides[axis];
      strides[ndim++] = step * x->strides[axis++];
    }
  }
  keep();
  return view_of(given_x, ndim, shape, strides, start);
}

// x at an index: a view, else what a mask or NumPy takes. None where that is no array.
PyObject* getitem(PyObject* const* arguments, Py_ssize_t given) {
  PyObject* const x = arguments[0];
  if (given != 2 || !py::isinstance<Array>(x) || is_nothing(x)) Py_RETURN_NONE;
  const Parts parts(arguments[1]);
  PyObject* const view = view_at(x, parts);
  if (view != nullptr || PyErr_Occurred()) return view;
  if (PyTuple_Check(arguments[1]) && parts.count == 1 && py::isinstance<Array>(*parts.first)) {
    py::object taken = mask_take(array(x), array(*parts.first));
    if (!taken.is_none()) return taken.release().ptr();
  }
  auto taken = py::reinterpret_steal<py::object>(PyObject_GetItem(x, arguments[1]));
  if (taken && !py::isinstance<Array>(taken)) Py_RETURN_NONE;
  return taken.release().ptr();
}

// The diagonal of the plane of two axes, counted from the front, `offset` above the main one, as a
// new last axis: a view. None where the axes are not two of x's.
PyObject* diagonal(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 4 || !py::isinstance<Array>(arguments[0])) Py_RETURN_NONE;
  const auto* x = py::detail::array_proxy(arguments[0]);
  const py::ssize_t a = axis_of(arguments[2], x->nd), b = axis_of(arguments[3], x->nd);
  if (a < 0 || b < 0 || a == b || !PyLong_CheckExact(arguments[1])) Py_RETURN_NONE;
  int beyond = 0;
  const py::ssize_t offset = PyLong_AsLongLongAndOverflow(arguments[1], &beyond);
  if (beyond != 0 || offset != static_cast<int>(offset)) Py_RETURN_NONE;  // nor does NumPy
  const py::ssize_t down = offset < 0 ? std::min(-offset, x->dimensions[a]) : 0;
  const py::ssize_t right = offset > 0 ? std::min(offset, x->dimensions[b]) : 0;
  const py::ssize_t n = std::min(x->dimensions[a] - down, x->dimensions[b] - right);
  py::ssize_t shape[kMaxDims], strides[kMaxDims];
  int ndim = 0;
  for (py::ssize_t d = 0; d < x->nd; ++d) {
    if (d == a || d == b) continue;
    shape[ndim] = x->dimensions[d];
    strides[ndim++] = x->strides[d];
  }
  shape[ndim] = n;
  strides[ndim++] = x->strides[a] + x->strides[b];
  const py::ssize_t start = n > 0 ? down * x->strides[a] + right * x->strides[b] : 0;
  return view_of(arguments[0], ndim, shape, strides, start);
}

// A view of x in which axes of size 1, and new ones in front, are repeated at stride 0. None where
// the sizes do not fit.
PyObject* expand(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 2 || !py::isinstance<Array>(arguments[0]) || !PyTuple_Check(arguments[1]))
    Py_RETURN_NONE;
  const auto* x = py::detail::array_proxy(arguments[0]);
  const Py_ssize_t ndim = PyTuple_GET_SIZE(arguments[1]), added = ndim - x->nd;
  if (added < 0 || ndim > kMaxDims) Py_RETURN_NONE;
  py::ssize_t shape[kMaxDims], strides[kMaxDims];
  for (Py_ssize_t d = 0; d < ndim; ++d) {
    PyObject* const size = PyTuple_GET_ITEM(arguments[1], d);
    if (!PyLong_CheckExact(size)) Py_RETURN_NONE;
    shape[d] = PyLong_AsSsize_t(size);
    strides[d] = 0;
    if (d >= added) {
      const py::ssize_t old = x->dimensions[d - added];
      if (shape[d] == old)
        strides[d] = x->strides[d - added];
      else if (old != 1)
        shape[d] = -1;
    }
    if (shape[d] < 0) {
      PyErr_Clear();
      Py_RETURN_NONE;
    }
  }
  return view_of(arguments[0], static_cast<int>(ndim), shape, strides);
}

// The arrays joined along an axis, or `stacked` along a new one; None where they do not fit or are
// not all of one dtype of 4 or 8 bytes.
PyObject* join(bool stacked, PyObject* const* arguments, Py_ssize_t given) {
  if (given != 2 || !PyList_Check(arguments[0]) || !PyLong_Check(arguments[1])) Py_RETURN_NONE;
  PyObject* const parts = arguments[0];
  const Py_ssize_t count = PyList_GET_SIZE(parts);
  for (Py_ssize_t k = 0; k < count; ++k)
    if (!py::isinstance<Array>(PyList_GET_ITEM(parts, k))) Py_RETURN_NONE;
  if (count == 0) Py_RETURN_NONE;
  const auto part = [&](Py_ssize_t k) {
    return py::reinterpret_borrow<Array>(PyList_GET_ITEM(parts, k));
  };
  const Array first = part(0);
  const auto* like = py::detail::array_proxy(first.ptr());
  const int ndim = like->nd + stacked;
  py::ssize_t dim = PyLong_AsSsize_t(arguments[1]);
  if (dim < 0 && !PyErr_Occurred()) dim += ndim;
  if (dim < 0 || dim >= ndim || ndim > kMaxDims) {
    PyErr_Clear();
    Py_RETURN_NONE;
  }
  const py::dtype dtype = first.dtype();
  const py::ssize_t item = dtype.itemsize();
  if ((item != 4 && item != 8) || dtype.flags()) Py_RETURN_NONE;
  Shape shape(like->dimensions, like->dimensions + like->nd);
  if (stacked) shape.insert(shape.begin() + dim, count);
  for (Py_ssize_t k = 1; k < count; ++k) {
    const auto* a = py::detail::array_proxy(PyList_GET_ITEM(parts, k));
    if (a->descr != like->descr || a->nd != like->nd) Py_RETURN_NONE;
    for (int d = 0; d < a->nd; ++d)
      if ((stacked || d != dim) && a->dimensions[d] != like->dimensions[d]) Py_RETURN_NONE;
    if (!stacked) shape[dim] += a->dimensions[dim];
  }
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < dim; ++d) outer *= shape[d];
  for (int d = dim + 1; d < ndim; ++d) inner *= shape[d];
  std::vector<int64_t> width(count);
  std::vector<const void*> from(count);
  std::vector<Array> held;
  for (Py_ssize_t k = 0; k < count; ++k) {
    const Array x = part(k), y = contiguous(x);
    if (y.ptr() != x.ptr()) held.push_back(y);
    width[k] = stacked ? inner : y.shape(dim) * inner;
    from[k] = y.data();
  }
  Array out = empty(dtype, shape);
  const auto run = [&](auto t) {
    using T = decltype(t);
    T* to = static_cast<T*>(out.mutable_data());
    const T* const* at = reinterpret_cast<const T* const*>(from.data());
    without_gil(out.size(), [&] { active<T>().cat(to, at, width.data(), count, outer); });
  };
  item == 4 ? run(float{}) : run(double{});
  return out.release().ptr();
}

// The strides of a view of x, which is not empty, under another shape of as many elements; whether
// there is one: axes of x that lie as one must be as many of the view's as hold the same elements.
bool view_strides(const View& x, int ndim, const py::ssize_t* shape, py::ssize_t* strides) {
  Walk walk;
  Sizes sizes;
  plan("reshape", &x, 1, walk, sizes);
  int to = ndim - 1;
  for (int d = walk.ndim - 1; d >= 0; --d) {
    int64_t rest = walk.size[d];
    py::ssize_t step = walk.stride[1][d] * x.item;
    for (; to >= 0 && (rest > 1 || shape[to] == 1) && rest % shape[to] == 0; --to) {
      strides[to] = step;
      step *= shape[to];
      rest /= shape[to];
    }
    if (rest > 1) return false;
  }
  return true;
}

// x under another shape, of which one size may be -1: a view where its strides allow it, else a
// copy. None where the sizes do not fit.
PyObject* reshape(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 2 || !py::isinstance<Array>(arguments[0]) || !PyTuple_Check(arguments[1]))
    Py_RETURN_NONE;
  const auto* x = py::detail::array_proxy(arguments[0]);
  const Py_ssize_t ndim = PyTuple_GET_SIZE(arguments[1]);
  if (ndim > kMaxDims || is_nothing(arguments[0])) Py_RETURN_NONE;
  py::ssize_t shape[kMaxDims], count = 1, known = 1, hole = -1;
  for (int d = 0; d < x->nd; ++d) count *= x->dimensions[d];
  for (Py_ssize_t d = 0; d < ndim; ++d) {
    PyObject* const size = PyTuple_GET_ITEM(arguments[1], d);
    if (!PyLong_CheckExact(size)) Py_RETURN_NONE;
    shape[d] = PyLong_AsSsize_t(size);
    if (shape[d] == -1 && !PyErr_Occurred() && hole < 0) {
      hole = d;
    } else if (shape[d] < 0 || __builtin_mul_overflow(known, shape[d], &known)) {
      PyErr_Clear();
      Py_RETURN_NONE;
    }
  }
  if (hole < 0 ? known != count : known == 0 || count % known) Py_RETURN_NONE;
  if (hole >= 0) shape[hole] = count / known;
  const int axes = static_cast<int>(ndim);
  if (x->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_)
    return view_of(arguments[0], axes, shape, nullptr);
  const Array given_x = array(arguments[0]);
  py::object held;
  py::ssize_t strides[kMaxDims];
  const View from = view(given_x, held);
  if (!held && view_strides(from, axes, shape, strides))
    return view_of(arguments[0], axes, shape, strides);
  return view_of(copied(given_x).ptr(), axes, shape, nullptr);
}

}  // namespace

void bind_scatter(py::module_& m) {
  MT_CALLED("cat", "(x: list[numpy.ndarray], dim: int) -> numpy.ndarray",
            join(false, arguments, given));
  MT_CALLED("stack", "(x: list[numpy.ndarray], dim: int) -> numpy.ndarray",
            join(true, arguments, given));
  MT_CALLED("reshape", "(x: numpy.ndarray, shape: tuple[int, ...]) -> numpy.ndarray",
            reshape(arguments, given));
  MT_CALLED("gives_view", "(index: object) -> bool", gives_view(arguments, given));
  MT_CALLED("getitem", "(x: numpy.ndarray, index: object) -> numpy.ndarray | None",
            getitem(arguments, given));
  MT_CALLED("index_select",
            "(x: numpy.ndarray, index: numpy.ndarray, dim: int, *turning: bool) -> numpy.ndarray",
            call_index_select(arguments, given));
  m.def(
      "index_add",
      [](const Array& g, const Array& index, py::ssize_t dim, int64_t n, const py::object& x,
         bool replace) {
        return index_add(g, checked_index("index_add", index, n), dim, n, x, replace);
      },
      py::arg("g"), py::arg("index"), py::arg("dim"), py::arg("n"), py::arg("x") = py::none(),
      py::arg("replace") = false);
  MT_CALLED("gather",
            "(x: numpy.ndarray, index: numpy.ndarray, dim: int, *turning: bool) -> numpy.ndarray",
            call_gather(arguments, given));
  MT_CALLED("write_slices",
            "(x: numpy.ndarray, src: numpy.ndarray, index: numpy.ndarray, dim: int, add: bool, "
            "*turning_or_into: bool | numpy.ndarray) -> numpy.ndarray",
            call_write(true, arguments, given));
  MT_CALLED("write_elements",
            "(x: numpy.ndarray, src: numpy.ndarray, index: numpy.ndarray, dim: int, add: bool, "
            "*turning_or_into: bool | numpy.ndarray) -> numpy.ndarray",
            call_write(false, arguments, given));
  m.def(
      "scatter",
      [](const Array& g, const Array& index, py::ssize_t dim, int64_t n, const py::object& x,
         int how) { return scatter(g, checked_index("scatter", index, n), dim, n, x, how); },
      py::arg("g"), py::arg("index"), py::arg("dim"), py::arg("n"), py::arg("x") = py::none(),
      py::arg("how") = static_cast<int>(kSum));
  MT_CALLED("lies_within", "(index: numpy.ndarray, least: int, n: int) -> bool",
            lies_within(arguments, given));
  MT_CALLED("diagonal", "(x: numpy.ndarray, offset: int, dim1: int, dim2: int) -> numpy.ndarray",
            diagonal(arguments, given));
  MT_CALLED("expand", "(x: numpy.ndarray, shape: tuple[int, ...]) -> numpy.ndarray",
            expand(arguments, given));
}

}  // namespace mt
