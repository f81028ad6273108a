#include "common.h"

namespace mt {
namespace {

constexpr py::ssize_t kState = 625;

// The words of a state, and with `out` the rule that they fill is given contiguous memory.
uint32_t* words_of(Array& state) {
  require(is<uint32_t>(state) && state.size() == kState && state.writeable() &&
              (state.flags() & py::array::c_style),
          "random: a state is 625 contiguous words of 32 bits");
  auto* words = data<uint32_t>(state);
  require(words[kState - 1] < kState, "random: the place of the next word lies outside the state");
  return words;
}

template <class F>
void fill(const char* name, Array& out, const F& f) {
  require((out.flags() & py::array::c_style) && out.writeable(),
          "random: the array to fill must be contiguous");
  by_dtype(
      name,
      [&](auto t) {
        using T = decltype(t);
        T* to = data<T>(out);
        const int64_t n = out.size();
        without_gil(n, [&] { f(active<T>(), to, n); });
      },
      out);
}

}  // namespace

void bind_random(py::module_& m) {
  m.def(
      "seed_words",
      [](uint32_t seed) {
        Array state = empty<uint32_t>({kState});
        active<float>().seed_words(data<uint32_t>(state), seed);
        return state;
      },
      py::arg("seed"));
  m.def(
      "random_words",
      [](Array state, int64_t n) {
        uint32_t* words = words_of(state);
        require(n >= 0, "random_words: a negative number of words");
        Array out = empty<uint32_t>({n});
        auto* to = data<uint32_t>(out);
        without_gil(n, [&] { active<float>().random_words(to, words, n); });
        return out;
      },
      py::arg("state"), py::arg("n"));
  m.def(
      "random_uniform",
      [](Array out, Array state, double low, double span, double high) {
        uint32_t* words = words_of(state);
        fill("random_uniform", out, [&](const auto& table, auto* to, int64_t n) {
          table.random_uniform(to, words, low, span, high, n);
        });
      },
      py::arg("out"), py::arg("state"), py::arg("low"), py::arg("span"), py::arg("high"));
  m.def(
      "random_bernoulli",
      [](Array out, Array state, uint64_t limit, double one) {
        uint32_t* words = words_of(state);
        fill("random_bernoulli", out, [&](const auto& table, auto* to, int64_t n) {
          table.random_bernoulli(to, words, limit, one, n);
        });
      },
      py::arg("out"), py::arg("state"), py::arg("limit"), py::arg("one"));
  m.def(
      "random_order",
      [](Array state, int64_t n) {
        uint32_t* words = words_of(state);
        require(n >= 0 && n >> 32 == 0, "random_order: a negative number, or 2^32 and more");
        Array out = empty<int64_t>({n});
        auto* to = data<int64_t>(out);
        without_gil(n, [&] { active<float>().random_order(to, words, n); });
        return out;
      },
      py::arg("state"), py::arg("n"));
  m.def(
      "random_normal",
      [](Array out, Array state, double mean, double std) {
        uint32_t* words = words_of(state);
        require(out.size() % 16 == 0, "random_normal: normals are made in blocks of 16");
        fill("random_normal", out, [&](const auto& table, auto* to, int64_t n) {
          table.random_normal(to, words, mean, std, n);
        });
      },
      py::arg("out"), py::arg("state"), py::arg("mean"), py::arg("std"));
}

}  // namespace mt
