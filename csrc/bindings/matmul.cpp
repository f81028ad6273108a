// matmul: any layout of the last two axes with one of them contiguous goes to the kernel as it is,
// others are copied.
#include <pybind11/stl.h>  // std::optional

#include "common.h"

namespace mt {
namespace {

// The last two axes of x in elements: sizes and strides. An axis of size 1 may have any stride; it
// gets one that the kernel likes.
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
Face face(const Array& x) {
  const int64_t item = sizeof(T), d = x.ndim() - 2;
  Face f{x.shape(d), x.shape(d + 1), x.strides(d) / item, x.strides(d + 1) / item};
  if (f.cols == 1) f.col = 1;
  if (f.rows == 1 && f.col != 1) f.row = 1;
  return f;
}

template <class T>
Array with_unit_stride(const Array& x) {
  if (!readable<T>(x)) return contiguous(x);
  const Face f = face<T>(x);
  return f.row == 1 || f.col == 1 ? x : contiguous(x);
}

template <class T>
Array matmul(const Array& a_given, const Array& b_given, const std::optional<Array>& bias_given) {
  const Array a = with_unit_stride<T>(a_given), b = with_unit_stride<T>(b_given);
  const Face fa = face<T>(a), fb = face<T>(b);
  if (fa.cols != fb.rows)
    fail("matmul: " + describe(shape_of(a)) + " @ " + describe(shape_of(b)) + ": the inner sizes " +
         std::to_string(fa.cols) + " and " + std::to_string(fb.rows) + " differ");
  MatmulSizes s;
  s.m = fa.rows, s.n = fb.cols, s.k = fa.cols;
  s.a_row = fa.row, s.a_col = fa.col, s.b_row = fb.row, s.b_col = fb.col;
  const int na = a.ndim() - 2, nb = b.ndim() - 2, ndim = na > nb ? na : nb;
  Shape shape(ndim + 2);
  shape[ndim] = s.m, shape[ndim + 1] = s.n;
  s.batch.ndim = ndim;
  s.batch.count = 1;
  for (int d = 0; d < ndim; ++d) {
    const int da = d - (ndim - na), db = d - (ndim - nb);
    const int64_t size_a = da < 0 ? 1 : a.shape(da), size_b = db < 0 ? 1 : b.shape(db);
    if (size_a != size_b && size_a != 1 && size_b != 1)
      fail("matmul: " + describe(shape_of(a)) + " @ " + describe(shape_of(b)) +
           ": the batch sizes " + std::to_string(size_a) + " and " + std::to_string(size_b) +
           " differ");
    shape[d] = s.batch.size[d] = size_a == 1 ? size_b : size_a;
    s.batch.stride[1][d] = size_a == 1 ? 0 : a.strides(da) / static_cast<int64_t>(sizeof(T));
    s.batch.stride[2][d] = size_b == 1 ? 0 : b.strides(db) / static_cast<int64_t>(sizeof(T));
  }
  Array c = empty<T>(shape);
  for (int d = 0; d < ndim; ++d) s.batch.count *= shape[d];
  const Array bias = bias_given ? contiguous(*bias_given) : c;
  if (bias_given)
    require(bias.ndim() == 1 && bias.size() == s.n,
            "matmul: the bias does not have one value per column");
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
  without_gil([&] { active<T>().matmul(pc, pa, pb, pbias, s); });
  return c;
}

}  // namespace

void bind_matmul(py::module_& m) {
  m.def(
      "matmul",
      [](const Array& a, const Array& b, const std::optional<Array>& bias) {
        require(a.ndim() >= 2 && b.ndim() >= 2, "matmul: expected at least two axes of each array");
        return by_dtype(
            "matmul",
            [&](auto t) {
              using T = decltype(t);
              if (bias && !is<T>(*bias)) fail_dtype("matmul: the arrays' dtypes differ");
              return matmul<T>(a, b, bias);
            },
            a, b);
      },
      py::arg("a"), py::arg("b"), py::arg("bias") = py::none());
}

}  // namespace mt
