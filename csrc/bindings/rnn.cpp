// The steps of recurrent layers: gates (rows, count * n), states (rows, n).
#include "common.h"

namespace mt {
namespace {

// The state's shape (rows, n). Raises unless all states have it and all gates are `count` as wide.
Shape checked(const char* name, int64_t count, std::initializer_list<const Array*> states,
              std::initializer_list<const Array*> gates) {
  const Shape shape = shape_of(**states.begin());
  if (shape.size() != 2) fail(std::string(name) + ": the states must have 2 axes");
  for (const Array* state : states)
    if (shape_of(*state) != shape)
      fail(std::string(name) + ": states " + describe(shape) + " and " +
           describe(shape_of(*state)) + " differ in shape");
  for (const Array* gate : gates)
    if (gate->ndim() != 2 || gate->shape(0) != shape[0] || gate->shape(1) % count != 0 ||
        gate->shape(1) / count != shape[1])
      fail(std::string(name) + ": gates " + describe(shape_of(*gate)) + " for states " +
           describe(shape));
  return shape;
}

}  // namespace

void bind_rnn(py::module_& m) {
  m.def(
      "lstm_cell",
      [](const Array& x, const Array& c) {
        const Shape shape = checked("lstm_cell", 4, {&c}, {&x});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array gates = contiguous(x), old = contiguous(c);
          Array h = empty<T>(shape), next = empty<T>(shape);
          T *ph = data<T>(h), *pn = data<T>(next);
          const T *px = data<T>(gates), *pc = data<T>(old);
          without_gil([&] { active<T>().lstm_cell(ph, pn, px, pc, shape[0], shape[1]); });
          return py::make_tuple(h, next);
        };
        return by_dtype("lstm_cell", typed, x, c);
      },
      py::arg("x"), py::arg("c"));
  m.def(
      "lstm_cell_dx",
      [](const Array& dh, const Array& dc, const Array& x, const Array& c, const Array& next) {
        const Shape shape = checked("lstm_cell_dx", 4, {&dh, &dc, &c, &next}, {&x});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array h = contiguous(dh), e = contiguous(dc), gates = contiguous(x),
                      old = contiguous(c), now = contiguous(next);
          Array dx = empty<T>(shape_of(x));
          T* to = data<T>(dx);
          const T *ph = data<T>(h), *pe = data<T>(e), *px = data<T>(gates), *pc = data<T>(old),
                  *pn = data<T>(now);
          without_gil(
              [&] { active<T>().lstm_cell_dx(to, ph, pe, px, pc, pn, shape[0], shape[1]); });
          return dx;
        };
        return by_dtype("lstm_cell_dx", typed, x, dh, dc, c, next);
      },
      py::arg("dh"), py::arg("dc"), py::arg("x"), py::arg("c"), py::arg("next"));
  m.def(
      "lstm_cell_dc",
      [](const Array& dh, const Array& dc, const Array& x, const Array& next) {
        const Shape shape = checked("lstm_cell_dc", 4, {&dh, &dc, &next}, {&x});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array h = contiguous(dh), e = contiguous(dc), gates = contiguous(x),
                      now = contiguous(next);
          Array out = empty<T>(shape);
          T* to = data<T>(out);
          const T *ph = data<T>(h), *pe = data<T>(e), *px = data<T>(gates), *pn = data<T>(now);
          without_gil([&] { active<T>().lstm_cell_dc(to, ph, pe, px, pn, shape[0], shape[1]); });
          return out;
        };
        return by_dtype("lstm_cell_dc", typed, x, dh, dc, next);
      },
      py::arg("dh"), py::arg("dc"), py::arg("x"), py::arg("next"));
  m.def(
      "gru_cell",
      [](const Array& x, const Array& y, const Array& h) {
        const Shape shape = checked("gru_cell", 3, {&h}, {&x, &y});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array gx = contiguous(x), gy = contiguous(y), old = contiguous(h);
          Array out = empty<T>(shape);
          T* to = data<T>(out);
          const T *px = data<T>(gx), *py_ = data<T>(gy), *ph = data<T>(old);
          without_gil([&] { active<T>().gru_cell(to, px, py_, ph, shape[0], shape[1]); });
          return out;
        };
        return by_dtype("gru_cell", typed, x, y, h);
      },
      py::arg("x"), py::arg("y"), py::arg("h"));
  m.def(
      "gru_cell_dx",
      [](const Array& g, const Array& x, const Array& y, const Array& h, bool hidden) {
        const Shape shape = checked("gru_cell_dx", 3, {&g, &h}, {&x, &y});
        const auto typed = [&](auto t) {
          using T = decltype(t);
          const Array up = contiguous(g), gx = contiguous(x), gy = contiguous(y),
                      old = contiguous(h);
          Array dx = empty<T>(shape_of(x));
          T* to = data<T>(dx);
          const T *pg = data<T>(up), *px = data<T>(gx), *py_ = data<T>(gy), *ph = data<T>(old);
          without_gil(
              [&] { active<T>().gru_cell_dx(to, pg, px, py_, ph, hidden, shape[0], shape[1]); });
          return dx;
        };
        return by_dtype("gru_cell_dx", typed, x, g, y, h);
      },
      py::arg("g"), py::arg("x"), py::arg("y"), py::arg("h"), py::arg("hidden"));
}

}  // namespace mt
