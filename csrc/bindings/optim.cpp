// Optimizer steps, in place: the arrays must be contiguous and of one dtype and size.
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>

#include "../runtime/parallel.h"
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

// The data of n arrays in a list, if they can all be updated by one kernel call each: of T,
// contiguous and of the sizes given (of the first list: any). Empty if not.
template <class T>
std::vector<T*> pointers(const py::list& arrays, std::vector<int64_t>& sizes, bool written) {
  constexpr int wanted =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  const bool first = sizes.empty();
  std::vector<T*> found;
  for (size_t k = 0; k < arrays.size(); ++k) {
    PyObject* item = PyList_GET_ITEM(arrays.ptr(), k);
    if (!py::isinstance<Array>(item)) return {};
    const auto x = py::reinterpret_borrow<Array>(item);
    if (!is<T>(x) || (x.flags() & wanted) != wanted || (written && !x.writeable())) return {};
    if (first)
      sizes.push_back(x.size());
    else if (k >= sizes.size() || sizes[k] != x.size())
      return {};
    found.push_back(static_cast<T*>(const_cast<void*>(x.data())));
  }
  if (found.size() != sizes.size()) return {};
  return found;
}

// As `pointers`, of what there may be none of: all null.
template <class T>
std::vector<T*> pointers_or_null(const py::object& arrays, std::vector<int64_t>& sizes) {
  if (arrays.is_none()) return std::vector<T*>(sizes.size(), nullptr);
  return pointers<T>(py::cast<py::list>(arrays), sizes, true);
}

// f(float{}) or f(double{}) by the dtype of the first array; false if there is none or another.
template <class F>
bool by_first(const py::list& arrays, const F& f) {
  if (arrays.empty() || !py::isinstance<Array>(arrays[0])) return false;
  const auto x = py::reinterpret_borrow<Array>(arrays[0]);
  return is<float>(x) ? f(float{}) : is<double>(x) ? f(double{}) : false;
}

// f(k, begin, count) over pieces of all of the arrays of these sizes, as one job for the threads: a
// chunk is one piece of a large array or several small arrays. The first share of every array comes
// before the second share of any: the thread that made those rows of a gradient takes its step too.
template <class F>
void for_pieces(const std::vector<int64_t>& sizes, const F& f) {
  constexpr int64_t kPiece = 1 << 14, kChunk = 1 << 15;  // elements; a piece is one to the kernel
  struct Piece {
    size_t k;
    int64_t begin, count;
  };
  std::vector<Piece> pieces;
  std::vector<size_t> first{0};  // of each chunk
  int64_t filled = 0;
  const int64_t shares = num_threads();
  for (int64_t share = 0; share < shares; ++share)
    for (size_t k = 0; k < sizes.size(); ++k) {
      const int64_t parts = (sizes[k] + kPiece - 1) / kPiece;
      for (int64_t part = parts * share / shares; part < parts * (share + 1) / shares; ++part) {
        const int64_t begin = part * kPiece, count = std::min(kPiece, sizes[k] - begin);
        if (filled + count > kChunk) {
          first.push_back(pieces.size());
          filled = 0;
        }
        pieces.push_back({k, begin, count});
        filled += count;
      }
    }
  first.push_back(pieces.size());
  for_chunks(static_cast<int64_t>(first.size()) - 1, [&](int64_t c) {
    for (size_t i = first[c]; i < first[c + 1]; ++i)
      f(pieces[i].k, pieces[i].begin, pieces[i].count);
  });
}

// In the order of Method.
constexpr const char* kMethods[] = {"rmsprop", "adagrad", "adadelta", "adamax",
                                    "nadam",   "radam",   "rprop",    "asgd"};

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
  // All parameters of a group in one call; false, and nothing is written, where the kernel cannot.
  m.def(
      "sgd_steps",
      [](const py::list& p, const py::list& g, const py::object& b, const std::vector<bool>& first,
         double lr, double momentum, double dampening, double weight_decay, bool nesterov,
         bool maximize) {
        return by_first(p, [&](auto t) {
          using T = decltype(t);
          std::vector<int64_t> sizes;
          const auto to = pointers<T>(p, sizes, true), from = pointers<T>(g, sizes, false),
                     velocity = pointers_or_null<T>(b, sizes);
          if (to.empty() || from.empty() || velocity.empty() || first.size() != to.size())
            return false;
          without_gil([&] {
            for_pieces(sizes, [&](size_t k, int64_t i, int64_t n) {
              const SgdStep s = {lr,       momentum, dampening, weight_decay,
                                 first[k], nesterov, maximize};
              T* const b = velocity[k] == nullptr ? nullptr : velocity[k] + i;
              active<T>().sgd_step(to[k] + i, b, from[k] + i, n, s);
            });
          });
          return true;
        });
      },
      py::arg("p"), py::arg("g"), py::arg("b"), py::arg("first"), py::kw_only(), py::arg("lr"),
      py::arg("momentum"), py::arg("dampening"), py::arg("weight_decay"), py::arg("nesterov"),
      py::arg("maximize"));
  // The same; `step` has for each parameter the array of its step's number, which goes up by 1.
  m.def(
      "adam_steps",
      [](const py::list& p, const py::list& g, const py::list& mean, const py::list& square,
         const py::object& largest, const py::list& step, double lr, double beta1, double beta2,
         double eps, double weight_decay, bool decoupled, bool maximize) {
        return by_first(p, [&](auto t) {
          using T = decltype(t);
          std::vector<int64_t> sizes, ones(p.size(), 1);
          const auto to = pointers<T>(p, sizes, true), from = pointers<T>(g, sizes, false),
                     pm = pointers<T>(mean, sizes, true), pv = pointers<T>(square, sizes, true),
                     pl = pointers_or_null<T>(largest, sizes);
          const auto numbers = pointers<float>(step, ones, true);
          const auto doubles = numbers.empty() ? pointers<double>(step, ones, true)
                                               : std::vector<double*>(p.size(), nullptr);
          if (to.empty() || from.empty() || pm.empty() || pv.empty() || pl.empty() ||
              doubles.empty())
            return false;
          without_gil([&] {
            double last = 0, power1 = 0, power2 = 0;
            std::vector<AdamStep> steps;
            for (size_t k = 0; k < to.size(); ++k) {
              const double n = doubles[k] == nullptr ? *numbers[k] += 1 : *doubles[k] += 1;
              if (n != last) power1 = std::pow(beta1, n), power2 = std::pow(beta2, n);
              last = n;
              steps.push_back({lr, beta1, beta2, eps, 1 - power1, 1 - power2, weight_decay,
                               decoupled, maximize});
            }
            for_pieces(sizes, [&](size_t k, int64_t i, int64_t n) {
              T* const largest = pl[k] == nullptr ? nullptr : pl[k] + i;
              active<T>().adam_step(to[k] + i, pm[k] + i, pv[k] + i, largest, from[k] + i, n,
                                    steps[k]);
            });
          });
          return true;
        });
      },
      py::arg("p"), py::arg("g"), py::arg("m"), py::arg("v"), py::arg("largest"), py::arg("step"),
      py::kw_only(), py::arg("lr"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"),
      py::arg("weight_decay"), py::arg("decoupled"), py::arg("maximize"));
  // All parameters of a group by one of the methods; `states` has the lists of each parameter's
  // arrays, or None where there are none; `numbers` a list for each parameter.
  m.def(
      "method_steps",
      [](const std::string& name, const py::list& p, const py::list& g, const py::list& states,
         const std::vector<std::vector<double>>& numbers, bool maximize) {
        const auto* const found = std::find(std::begin(kMethods), std::end(kMethods), name);
        if (found == std::end(kMethods)) fail("method_steps: there is no method " + name);
        const auto method = static_cast<Method>(found - std::begin(kMethods));
        return by_first(p, [&](auto t) {
          using T = decltype(t);
          std::vector<int64_t> sizes;
          const auto to = pointers<T>(p, sizes, true), from = pointers<T>(g, sizes, false);
          if (to.empty() || from.empty() || numbers.size() != to.size() || states.size() > 3)
            return false;
          std::vector<std::vector<T*>> state;
          for (const auto& arrays : states) {
            state.push_back(pointers_or_null<T>(py::reinterpret_borrow<py::object>(arrays), sizes));
            if (state.back().empty()) return false;
          }
          std::vector<MethodStep> steps;
          for (const auto& some : numbers) {
            MethodStep s = {method, maximize, {}};
            if (some.size() > std::size(s.number)) return false;
            std::copy(some.begin(), some.end(), s.number);
            steps.push_back(s);
          }
          without_gil([&] {
            for_pieces(sizes, [&](size_t k, int64_t i, int64_t n) {
              T* at[3] = {};
              for (size_t a = 0; a < state.size(); ++a)
                at[a] = state[a][k] == nullptr ? nullptr : state[a][k] + i;
              active<T>().method_step(to[k] + i, at, from[k] + i, n, steps[k]);
            });
          });
          return true;
        });
      },
      py::arg("method"), py::arg("p"), py::arg("g"), py::arg("states"), py::arg("numbers"),
      py::arg("maximize"));
}

}  // namespace mt
