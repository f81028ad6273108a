#include "common.h"

namespace mt {

void bind_softmax(py::module_& m) {
  m.def(
      "softmax",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner) {
        require(outer * n * inner == x.size(), "softmax: outer * n * inner is not the array's size");
        return by_dtype(
            "softmax",
            [&](auto t) {
              using T = decltype(t);
              const Array in = contiguous(x);
              Array y = empty<T>(shape_of(x));
              T* py_ = data<T>(y);
              const T* px = data<T>(in);
              without_gil([&] { active<T>().softmax(py_, px, outer, n, inner); });
              return y;
            },
            x);
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"));
}

}  // namespace mt
