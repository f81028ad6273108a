#include <algorithm>

#include "common.h"

// The kernels are those of scatter.cpp, along the first axis.

namespace mt {
namespace {

Array checked(const char* name, const Array& index, int64_t rows) {
  return checked_index(name, index, rows, "a table of " + std::to_string(rows) + " rows");
}

// padding, shared and sparse say what the gradient is.
py::object embedding(const Array& w, const Array& index, int64_t, bool, bool) {
  if (w.ndim() != 2 || !is_floating(w) || !is<int64_t>(index)) return py::none();
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
    without_gil(y.size(), [&] { active<T>().index_select(to, pw, pi, 1, w.shape(0), count, dim); });
    return y;
  };
  return by_dtype("embedding", typed, w);
}

// The bag b is of the indices start[b] to start[b + 1]; shared and sparse say what the gradient is.
py::object bags(const Array& w, const Array& index, const Array& start, bool mean, bool, bool) {
  if (w.ndim() != 2 || !is_floating(w) || !is<int64_t>(index)) return py::none();
  require(is<int64_t>(start) && start.ndim() == 1 && start.size() > 0,
          "embedding_bag: the starts are a vector of int64, with the end of the last bag");
  const Array at = checked("embedding", index, w.shape(0)), bounds = contiguous(start);
  const int64_t *pi = data<int64_t>(at), *ps = data<int64_t>(bounds), count = start.size() - 1;
  require(ps[0] >= 0 && ps[count] <= at.size() && std::is_sorted(ps, ps + count + 1),
          "embedding_bag: the starts do not rise from 0 to the number of indices");
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const int64_t dim = w.shape(1);
    const Array table = contiguous(w);
    Array y = empty<T>({count, dim});
    T* to = data<T>(y);
    const T* pw = data<T>(table);
    without_gil(at.size() * dim + y.size(),
                [&] { active<T>().bags(to, pw, pi, ps, count, dim, mean); });
    return y;
  };
  return by_dtype("embedding_bag", typed, w);
}

Array embedding_vjp(const Array& g, const Array& index, int64_t rows, int64_t padding) {
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
    without_gil(g.size() + dw.size(), [&] {
      active<T>().index_add(to, nullptr, pg, pi, 1, rows, count, dim, padding, false);
    });
    return dw;
  };
  return by_dtype("embedding_vjp", typed, g);
}

}  // namespace

void bind_embedding(py::module_& m) {
  def_fast(m, "embedding",
           "embedding(w: numpy.ndarray, index: numpy.ndarray, padding: int, shared: bool, sparse: "
           "bool) -> numpy.ndarray",
           typed<embedding>);
  def_fast(m, "bags",
           "bags(w: numpy.ndarray, index: numpy.ndarray, start: numpy.ndarray, mean: bool, shared: "
           "bool, sparse: bool) -> numpy.ndarray",
           typed<bags>);
  def_fast(m, "embedding_vjp",
           "embedding_vjp(g: numpy.ndarray, index: numpy.ndarray, rows: int, padding: int) -> "
           "numpy.ndarray",
           typed<embedding_vjp>);
}

}  // namespace mt
