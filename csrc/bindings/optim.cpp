// Optimizer steps, in place: the arrays must be contiguous and of one dtype and size.
#include "common.h"

namespace mt {
namespace {

// Raises unless `array` can be updated together with the parameter p.
void need_like(const char* name, const Array& p, const Array& array, bool written) {
  if (array.size() != p.size())
    fail(std::string(name) + ": arrays of shapes " + describe(shape_of(p)) + " and " +
         describe(shape_of(array)));
  constexpr int wanted =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((array.flags() & wanted) != wanted)
    fail(std::string(name) + ": the arrays must be contiguous");
  if (written && !array.writeable()) fail(std::string(name) + ": the memory is read-only");
}

// The array that is None or to be updated together with p.
template <class T>
T* optional(const char* name, const Array& p, const py::object& given) {
  if (given.is_none()) return nullptr;
  if (!py::isinstance<Array>(given) || !is<T>(py::reinterpret_borrow<Array>(given)))
    fail_dtype(std::string(name) + ": the arrays' dtypes differ");
  Array array = py::reinterpret_borrow<Array>(given);
  need_like(name, p, array, true);
  return data<T>(array);
}

}  // namespace

void bind_optim(py::module_& m) {
  m.def(
      "sgd_step",
      [](Array& p, const Array& g, const py::object& b, bool first, double lr, double momentum,
         double dampening, double weight_decay, bool nesterov, bool maximize) {
        need_like("sgd_step", p, p, true);
        need_like("sgd_step", p, g, false);
        const SgdStep s = {lr, momentum, dampening, weight_decay, first, nesterov, maximize};
        const auto typed = [&](auto t) {
          using T = decltype(t);
          T *to = data<T>(p), *velocity = optional<T>("sgd_step", p, b);
          const T* gradient = data<T>(g);
          const int64_t n = p.size();
          without_gil([&] { active<T>().sgd_step(to, velocity, gradient, n, s); });
        };
        by_dtype("sgd_step", typed, p, g);
      },
      py::arg("p"), py::arg("g"), py::arg("b"), py::kw_only(), py::arg("first"), py::arg("lr"),
      py::arg("momentum"), py::arg("dampening"), py::arg("weight_decay"), py::arg("nesterov"),
      py::arg("maximize"));
  m.def(
      "adam_step",
      [](Array& p, const Array& g, Array& mean, Array& square, const py::object& largest,
         int64_t step, double lr, double beta1, double beta2, double eps, double weight_decay,
         bool decoupled, bool maximize) {
        for (const Array* array : {&p, &mean, &square}) need_like("adam_step", p, *array, true);
        need_like("adam_step", p, g, false);
        const double t = static_cast<double>(step);
        const AdamStep s = {
            lr,           beta1,     beta2,   eps, 1 - std::pow(beta1, t), 1 - std::pow(beta2, t),
            weight_decay, decoupled, maximize};
        const auto typed = [&](auto t) {
          using T = decltype(t);
          T *to = data<T>(p), *pm = data<T>(mean), *pv = data<T>(square);
          T* pl = optional<T>("adam_step", p, largest);
          const T* gradient = data<T>(g);
          const int64_t n = p.size();
          without_gil([&] { active<T>().adam_step(to, pm, pv, pl, gradient, n, s); });
        };
        by_dtype("adam_step", typed, p, g, mean, square);
      },
      py::arg("p"), py::arg("g"), py::arg("m"), py::arg("v"), py::arg("largest"), py::kw_only(),
      py::arg("step"), py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"),
      py::arg("weight_decay"), py::arg("decoupled"), py::arg("maximize"));
}

}  // namespace mt
