#include "common.h"

// The kernels are those of scatter.cpp, along the first axis.

namespace mt {
namespace {

Array checked(const char* name, const Array& index, int64_t rows) {
  return checked_index(name, index, rows, "a table of " + std::to_string(rows) + " rows");
}

}  // namespace

void bind_embedding(py::module_& m) {
  m.def(
      "embedding",
      [](const Array& w, const Array& index) {
        require(w.ndim() == 2, "embedding: the table must have 2 axes");
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const int64_t dim = w.shape(1);
          const Array at = checked("embedding", index, w.shape(0)), table = contiguous(w);
          Shape shape = shape_of(index);
          shape.push_back(dim);
          Array y = empty<T>(shape);
          T* to = data<T>(y);
          const T* pw = data<T>(table);
          const int64_t *pi = data<int64_t>(at), count = at.size();
          without_gil([&] { active<T>().index_select(to, pw, pi, 1, w.shape(0), count, dim); });
          return y;
        };
        return by_dtype("embedding", typed, w);
      },
      py::arg("w"), py::arg("index"));
  m.def(
      "embedding_vjp",
      [](const Array& g, const Array& index, int64_t rows, int64_t skip) {
        const int64_t dim = g.ndim() == index.ndim() + 1 ? g.shape(g.ndim() - 1) : -1;
        require(dim >= 0 && rows >= 0 && g.size() == index.size() * dim,
                "embedding_vjp: g must have the index's shape and one more axis");
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array at = checked("embedding_vjp", index, rows), in = contiguous(g);
          Array dw = empty<T>({rows, dim});
          if (dw.size() == 0) return dw;
          T* to = data<T>(dw);
          const T* pg = data<T>(in);
          const int64_t *pi = data<int64_t>(at), count = at.size();
          without_gil([&] {
            active<T>().index_add(to, nullptr, pg, pi, 1, rows, count, dim, skip, false);
          });
          return dw;
        };
        return by_dtype("embedding_vjp", typed, g);
      },
      py::arg("g"), py::arg("index"), py::arg("rows"), py::arg("skip"));
}

}  // namespace mt
