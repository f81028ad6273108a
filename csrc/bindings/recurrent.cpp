// Recurrent layers: rows of gates (rows, gates n), states (batch, n), and where each step's rows
// stand.
#include "common.h"

namespace mt {
namespace {

// The walk through time that two arrays of int64 describe, checked against the arrays that it is to
// walk over.
struct Walker {
  Array count, first;
  Sequence s;

  Walker(const char* name, const Array& count_given, const Array& first_given, int64_t rows,
         const Array& state)
      : count(contiguous(count_given)), first(contiguous(first_given)) {
    if (state.ndim() != 2) fail(std::string(name) + ": the states must have 2 axes");
    if (!py::isinstance<py::array_t<int64_t>>(count) ||
        !py::isinstance<py::array_t<int64_t>>(first))
      fail_dtype(std::string(name) + ": count and first must be int64");
    if (count.ndim() != 1 || shape_of(count) != shape_of(first))
      fail(std::string(name) + ": count and first must have one axis, and be equally long");
    s = {count.size(), state.shape(0), state.shape(1), data<int64_t>(count), data<int64_t>(first)};
    bool grows = true, shrinks = true;
    for (int64_t i = 0; i < s.steps; ++i) {
      int64_t last;
      if (s.count[i] < 0 || s.count[i] > s.batch || s.first[i] < 0 ||
          __builtin_add_overflow(s.first[i], s.count[i], &last) || last > rows)
        fail(std::string(name) + ": step " + std::to_string(i) + " has rows that are not there");
      grows = grows && (i == 0 || s.count[i] >= s.count[i - 1]);
      shrinks = shrinks && (i == 0 || s.count[i] <= s.count[i - 1]);
    }
    require(grows || shrinks, "a recurrent layer's counts must grow or shrink throughout");
  }
};

void need(const char* name, const char* what, const Array& x, const Shape& shape) {
  if (shape_of(x) != shape)
    fail(std::string(name) + ": " + what + " is " + describe(shape_of(x)) + ", not " +
         describe(shape));
}

}  // namespace

void bind_recurrent(py::module_& m) {
  m.def(
      "lstm_layer",
      [](const Array& x, const Array& h, const Array& c, const Array& w, const Array& count,
         const Array& first) {
        const char* name = "lstm_layer";
        require(x.ndim() == 2, "lstm_layer: x must have 2 axes");
        const Walker walk(name, count, first, x.shape(0), h);
        const py::ssize_t rows = x.shape(0), n = walk.s.n;
        need(name, "x", x, {rows, 4 * n});
        need(name, "c", c, shape_of(h));
        need(name, "w", w, {4 * n, n});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array x_ = contiguous(x), h_ = contiguous(h), c_ = contiguous(c),
                      w_ = contiguous(w);
          Array y = empty<T>({rows, n}), hn = empty<T>(shape_of(h)), cn = empty<T>(shape_of(h)),
                gates = empty<T>(shape_of(x)), cells = empty<T>({rows, n});
          T *py_ = data<T>(y), *phn = data<T>(hn), *pcn = data<T>(cn), *pg = data<T>(gates),
            *pk = data<T>(cells);
          const T *px = data<T>(x_), *ph = data<T>(h_), *pc = data<T>(c_), *pw = data<T>(w_);
          without_gil(
              [&] { active<T>().lstm_layer(py_, phn, pcn, pg, pk, px, ph, pc, pw, walk.s); });
          return py::make_tuple(y, hn, cn, gates, cells);
        };
        return by_dtype(name, typed, x, h, c, w);
      },
      py::arg("x"), py::arg("h"), py::arg("c"), py::arg("w"), py::arg("count"), py::arg("first"));
  m.def(
      "lstm_layer_vjp",
      [](const Array& gy, const Array& gh, const Array& gc, const Array& c, const Array& w,
         const Array& gates, const Array& cells, const Array& count, const Array& first) {
        const char* name = "lstm_layer_vjp";
        require(cells.ndim() == 2, "lstm_layer_vjp: cells must have 2 axes");
        const Walker walk(name, count, first, cells.shape(0), c);
        const py::ssize_t rows = cells.shape(0), n = walk.s.n;
        need(name, "cells", cells, {rows, n});
        need(name, "gates", gates, {rows, 4 * n});
        need(name, "gy", gy, {rows, n});
        need(name, "gh", gh, shape_of(c));
        need(name, "gc", gc, shape_of(c));
        need(name, "w", w, {4 * n, n});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array gy_ = contiguous(gy), gh_ = contiguous(gh), gc_ = contiguous(gc),
                      c_ = contiguous(c), w_ = contiguous(w), gates_ = contiguous(gates),
                      cells_ = contiguous(cells);
          Array dx = empty<T>(shape_of(gates)), dh = empty<T>(shape_of(c)),
                dc = empty<T>(shape_of(c));
          T *pdx = data<T>(dx), *pdh = data<T>(dh), *pdc = data<T>(dc);
          const T *pgy = data<T>(gy_), *pgh = data<T>(gh_), *pgc = data<T>(gc_), *pc = data<T>(c_),
                  *pw = data<T>(w_), *pg = data<T>(gates_), *pk = data<T>(cells_);
          without_gil([&] {
            active<T>().lstm_layer_vjp(pdx, pdh, pdc, pgy, pgh, pgc, pc, pw, pg, pk, walk.s);
          });
          return py::make_tuple(dx, dh, dc);
        };
        return by_dtype(name, typed, gy, gh, gc, c, w, gates, cells);
      },
      py::arg("gy"), py::arg("gh"), py::arg("gc"), py::arg("c"), py::arg("w"), py::arg("gates"),
      py::arg("cells"), py::arg("count"), py::arg("first"));
  m.def(
      "gru_layer",
      [](const Array& x, const Array& h, const Array& w, const Array& b, const Array& count,
         const Array& first) {
        const char* name = "gru_layer";
        require(x.ndim() == 2, "gru_layer: x must have 2 axes");
        const Walker walk(name, count, first, x.shape(0), h);
        const py::ssize_t rows = x.shape(0), n = walk.s.n;
        need(name, "x", x, {rows, 3 * n});
        need(name, "w", w, {3 * n, n});
        need(name, "b", b, {3 * n});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array x_ = contiguous(x), h_ = contiguous(h), w_ = contiguous(w),
                      b_ = contiguous(b);
          Array y = empty<T>({rows, n}), hn = empty<T>(shape_of(h)),
                gates = empty<T>({rows, 4 * n});
          T *py_ = data<T>(y), *phn = data<T>(hn), *pg = data<T>(gates);
          const T *px = data<T>(x_), *ph = data<T>(h_), *pw = data<T>(w_), *pb = data<T>(b_);
          without_gil([&] { active<T>().gru_layer(py_, phn, pg, px, ph, pw, pb, walk.s); });
          return py::make_tuple(y, hn, gates);
        };
        return by_dtype(name, typed, x, h, w, b);
      },
      py::arg("x"), py::arg("h"), py::arg("w"), py::arg("b"), py::arg("count"), py::arg("first"));
  m.def(
      "gru_layer_vjp",
      [](const Array& gy, const Array& gh, const Array& h, const Array& w, const Array& y,
         const Array& gates, const Array& count, const Array& first) {
        const char* name = "gru_layer_vjp";
        require(y.ndim() == 2, "gru_layer_vjp: y must have 2 axes");
        const Walker walk(name, count, first, y.shape(0), h);
        const py::ssize_t rows = y.shape(0), n = walk.s.n;
        need(name, "y", y, {rows, n});
        need(name, "gates", gates, {rows, 4 * n});
        need(name, "gy", gy, {rows, n});
        need(name, "gh", gh, shape_of(h));
        need(name, "w", w, {3 * n, n});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array gy_ = contiguous(gy), gh_ = contiguous(gh), h_ = contiguous(h),
                      w_ = contiguous(w), y_ = contiguous(y), gates_ = contiguous(gates);
          Array dx = empty<T>({rows, 3 * n}), dp = empty<T>({rows, 3 * n}),
                dh = empty<T>(shape_of(h));
          T *pdx = data<T>(dx), *pdp = data<T>(dp), *pdh = data<T>(dh);
          const T *pgy = data<T>(gy_), *pgh = data<T>(gh_), *ph = data<T>(h_), *pw = data<T>(w_),
                  *py_ = data<T>(y_), *pg = data<T>(gates_);
          without_gil(
              [&] { active<T>().gru_layer_vjp(pdx, pdp, pdh, pgy, pgh, ph, pw, py_, pg, walk.s); });
          return py::make_tuple(dx, dp, dh);
        };
        return by_dtype(name, typed, gy, gh, h, w, y, gates);
      },
      py::arg("gy"), py::arg("gh"), py::arg("h"), py::arg("w"), py::arg("y"), py::arg("gates"),
      py::arg("count"), py::arg("first"));
  m.def(
      "rnn_layer",
      [](const Array& x, const Array& h, const Array& w, bool relu, const Array& count,
         const Array& first) {
        const char* name = "rnn_layer";
        require(x.ndim() == 2, "rnn_layer: x must have 2 axes");
        const Walker walk(name, count, first, x.shape(0), h);
        const py::ssize_t rows = x.shape(0), n = walk.s.n;
        need(name, "x", x, {rows, n});
        need(name, "w", w, {n, n});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array x_ = contiguous(x), h_ = contiguous(h), w_ = contiguous(w);
          Array y = empty<T>({rows, n}), hn = empty<T>(shape_of(h));
          T *py_ = data<T>(y), *phn = data<T>(hn);
          const T *px = data<T>(x_), *ph = data<T>(h_), *pw = data<T>(w_);
          without_gil([&] { active<T>().rnn_layer(py_, phn, px, ph, pw, relu, walk.s); });
          return py::make_tuple(y, hn);
        };
        return by_dtype(name, typed, x, h, w);
      },
      py::arg("x"), py::arg("h"), py::arg("w"), py::arg("relu"), py::arg("count"),
      py::arg("first"));
  m.def(
      "rnn_layer_vjp",
      [](const Array& gy, const Array& gh, const Array& w, const Array& y, bool relu,
         const Array& count, const Array& first) {
        const char* name = "rnn_layer_vjp";
        require(y.ndim() == 2, "rnn_layer_vjp: y must have 2 axes");
        const Walker walk(name, count, first, y.shape(0), gh);
        const py::ssize_t n = walk.s.n;
        need(name, "y", y, {y.shape(0), n});
        need(name, "gy", gy, shape_of(y));
        need(name, "w", w, {n, n});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array gy_ = contiguous(gy), gh_ = contiguous(gh), w_ = contiguous(w),
                      y_ = contiguous(y);
          Array dx = empty<T>(shape_of(y)), dh = empty<T>(shape_of(gh));
          T *pdx = data<T>(dx), *pdh = data<T>(dh);
          const T *pgy = data<T>(gy_), *pgh = data<T>(gh_), *pw = data<T>(w_), *py_ = data<T>(y_);
          without_gil(
              [&] { active<T>().rnn_layer_vjp(pdx, pdh, pgy, pgh, pw, py_, relu, walk.s); });
          return py::make_tuple(dx, dh);
        };
        return by_dtype(name, typed, gy, gh, w, y);
      },
      py::arg("gy"), py::arg("gh"), py::arg("w"), py::arg("y"), py::arg("relu"), py::arg("count"),
      py::arg("first"));
}

}  // namespace mt
