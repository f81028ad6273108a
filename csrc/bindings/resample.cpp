// A sparse matrix along an axis of x.
#include "common.h"

namespace mt {

void bind_resample(py::module_& m) {
  m.def(
      "resample",
      [](const Array& x, const Array& start, const Array& index, const Array& weight, int64_t size,
         int64_t dim) {
        require(0 <= dim && dim < x.ndim() && x.shape(dim) == size,
                "resample: the axis does not have the size that the table reads");
        require(is<int64_t>(start) && is<int64_t>(index) && is<double>(weight) &&
                    start.ndim() == 1 && start.size() > 0 && index.ndim() == 1 &&
                    weight.ndim() == 1 && index.size() == weight.size(),
                "resample: a table is int64 starts, int64 indices and as many float64 weights");
        const Array starts = contiguous(start), places = contiguous(index),
                    factors = contiguous(weight);
        const auto *ps = data<int64_t>(starts), *pi = data<int64_t>(places);
        const int64_t out = start.size() - 1;
        require(ps[0] == 0 && ps[out] == index.size(), "resample: the starts do not end the table");
        for (int64_t i = 0; i < out; ++i)
          require(ps[i] <= ps[i + 1], "resample: the starts are not in order");
        for (int64_t k = 0; k < index.size(); ++k)
          require(0 <= pi[k] && pi[k] < size, "resample: an index lies outside the axis");
        Shape shape = shape_of(x);
        shape[dim] = out;
        int64_t outer = 1, inner = 1;
        for (py::ssize_t d = 0; d < x.ndim(); ++d)
          if (d != dim) (d < dim ? outer : inner) *= shape[d];
        return by_dtype(
            "resample",
            [&](auto t) {
              using T = decltype(t);
              const Array from = contiguous(x);
              Array y = empty<T>(shape);
              T* py_ = data<T>(y);
              const T* px = data<T>(from);
              const double* pw = data<double>(factors);
              without_gil(
                  [&] { active<T>().resample(py_, px, ps, pi, pw, outer, size, out, inner); });
              return y;
            },
            x);
      },
      py::arg("x"), py::arg("start"), py::arg("index"), py::arg("weight"), py::arg("size"),
      py::arg("dim"));
}

}  // namespace mt
