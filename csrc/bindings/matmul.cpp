// matmul: any layout of the last two axes with one of them contiguous goes to the kernel as it is,
// others are copied.
#include <algorithm>

#include "common.h"

namespace mt {
namespace {

// The last two axes of x in elements: sizes and strides. An axis of size 1 may have any stride; it
// gets one that the kernel likes. A vector is a row on the `left` of a product, else a column.
struct Face {
  int64_t rows, cols, row, col;
};

template <class T>
bool readable(const Array& x) {
  if (!(x.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_)) return false;
  for (int d = 0; d < x.ndim(); ++d)
    if (x.strides(d) % static_cast<py::ssize_t>(sizeof(T))) return false;
  return true;
}

template <class T>
Face face(const Array& x, bool left) {
  const int64_t item = sizeof(T), d = x.ndim() - 2;
  if (d < 0) {
    const int64_t n = x.shape(0), step = x.strides(0) / item;
    return left ? Face{1, n, step == 1 ? n : 1, step} : Face{n, 1, step, 1};
  }
  Face f{x.shape(d), x.shape(d + 1), x.strides(d) / item, x.strides(d + 1) / item};
  if (f.cols == 1) f.col = 1;
  if (f.rows == 1 && f.col != 1) f.row = 1;
  return f;
}

template <class T>
Array with_unit_stride(const Array& x, bool left) {
  if (!readable<T>(x)) return contiguous(x);
  const Face f = face<T>(x, left);
  return f.row == 1 || f.col == 1 ? x : contiguous(x);
}

// c = a @ b, or a @ b^T where b is `turned`, and the bias added to each row; `bias_given` may be
// null. None where the sizes do not fit: whoever called knows under which name to say so.
template <class T>
py::object matmul(const Array& a_given, const Array& b_given, bool turned, PyObject* bias_given) {
  const Array a = with_unit_stride<T>(a_given, true), b = with_unit_stride<T>(b_given, false);
  const Face fa = face<T>(a, true);
  Face fb = face<T>(b, false);
  if (turned) fb = {fb.cols, fb.rows, fb.col, fb.row};
  if (fa.cols != fb.rows) return py::none();
  MatmulSizes s;
  s.m = fa.rows, s.n = fb.cols, s.k = fa.cols;
  s.a_row = fa.row, s.a_col = fa.col, s.b_row = fb.row, s.b_col = fb.col;
  const int na = std::max<int>(a.ndim() - 2, 0), nb = std::max<int>(b.ndim() - 2, 0);
  const int ndim = std::max(na, nb);
  int kept = ndim;  // the axes of the result
  py::ssize_t shape[kMaxDims];
  if (a.ndim() > 1) shape[kept++] = s.m;
  if (b.ndim() > 1) shape[kept++] = s.n;
  s.batch.ndim = ndim;
  s.batch.count = 1;
  for (int d = 0; d < ndim; ++d) {
    const int da = d - (ndim - na), db = d - (ndim - nb);
    const int64_t size_a = da < 0 ? 1 : a.shape(da), size_b = db < 0 ? 1 : b.shape(db);
    if (size_a != size_b && size_a != 1 && size_b != 1) return py::none();
    shape[d] = s.batch.size[d] = size_a == 1 ? size_b : size_a;
    s.batch.stride[1][d] = size_a == 1 ? 0 : a.strides(da) / static_cast<int64_t>(sizeof(T));
    s.batch.stride[2][d] = size_b == 1 ? 0 : b.strides(db) / static_cast<int64_t>(sizeof(T));
  }
  Array c = empty<T>(kept, shape);
  for (int d = 0; d < ndim; ++d) s.batch.count *= shape[d];
  const Array bias = bias_given ? contiguous(py::reinterpret_borrow<Array>(bias_given))
                                : py::reinterpret_borrow<Array>(c);
  if (bias_given && (bias.ndim() != 1 || bias.size() != s.n)) return py::none();
  if (c.size() == 0) return c;
  // One b for all of the batch, and a's rows evenly spaced throughout: one product with more rows.
  bool one = ndim > 0 && s.m > 0;
  for (int64_t d = ndim - 1, step = s.a_row * s.m; d >= 0 && one; step *= s.batch.size[d--])
    one = s.batch.stride[2][d] == 0 && (s.batch.stride[1][d] == step || s.batch.size[d] == 1);
  if (one) {
    s.m *= s.batch.count;
    s.batch.ndim = 0;
    s.batch.count = 1;
  }
  T* pc = data<T>(c);
  const T *pa = data<T>(a), *pb = data<T>(b), *pbias = bias_given ? data<T>(bias) : nullptr;
  const int64_t work = c.size() * std::min<int64_t>(s.k, kWithGil);
  without_gil(work, [&] { active<T>().matmul(pc, pa, pb, pbias, s); });
  return c;
}

// The function that Python calls: two arrays and, unless it is None, a bias; None for other dtypes
// and for arrays without axes.
PyObject* product(const char* name, bool turned, PyObject* const* arguments, Py_ssize_t given) {
  try {
    if (given != 2 && given != 3)
      throw py::type_error(std::string(name) + ": takes two arrays and a bias");
    PyObject* bias = given == 3 && arguments[2] != Py_None ? arguments[2] : nullptr;
    for (int k = 0; k < (bias ? 3 : 2); ++k)
      if (!py::isinstance<Array>(arguments[k])) Py_RETURN_NONE;
    const auto a = py::reinterpret_borrow<Array>(arguments[0]);
    const auto b = py::reinterpret_borrow<Array>(arguments[1]);
    if (a.ndim() < 1 || b.ndim() < 1 || (turned && (a.ndim() < 2 || b.ndim() != 2))) Py_RETURN_NONE;
    const auto run = [&](auto t) -> PyObject* {
      using T = decltype(t);
      if (!is<T>(b) || (bias && !is<T>(py::reinterpret_borrow<Array>(bias)))) Py_RETURN_NONE;
      return matmul<T>(a, b, turned, bias).release().ptr();
    };
    if (is<float>(a)) return run(float{});
    if (is<double>(a)) return run(double{});
    Py_RETURN_NONE;
  } catch (...) {
    return raise_pending();
  }
}

}  // namespace

void bind_matmul(py::module_& m) {
  def_fast(m, "matmul",
           "matmul(a: numpy.ndarray, b: numpy.ndarray, bias: numpy.ndarray | None = None) -> "
           "numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {
             return product("matmul", false, arguments, given);
           });
  def_fast(m, "linear",
           "linear(x: numpy.ndarray, weight: numpy.ndarray, bias: numpy.ndarray | None = None) -> "
           "numpy.ndarray",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {
             return product("linear", true, arguments, given);
           });
}

}  // namespace mt
