#include <algorithm>
#include <cmath>

#include "common.h"

namespace mt {
namespace {

constexpr py::ssize_t kState = 625;

// The words of a state, and with `out` the rule that they fill is given contiguous memory.
uint32_t* words_of(Array& state) {
  require(is<uint32_t>(state) && state.size() == kState && fillable(state),
          "random: a state is 625 contiguous words of 32 bits");
  auto* words = data<uint32_t>(state);
  require(words[kState - 1] < kState, "random: the place of the next word lies outside the state");
  return words;
}

template <class F>
void fill(const char* name, Array& out, const F& f) {
  require(fillable(out), "random: the array to fill must be contiguous");
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

Array seed_words(int64_t seed) {
  Array state = empty<uint32_t>({kState});
  active<float>().seed_words(data<uint32_t>(state), static_cast<uint32_t>(seed));
  return state;
}

Array random_words(Array state, int64_t n) {
  uint32_t* words = words_of(state);
  require(n >= 0, "random_words: a negative number of words");
  Array out = empty<uint32_t>({n});
  auto* to = data<uint32_t>(out);
  without_gil(n, [&] { active<float>().random_words(to, words, n); });
  return out;
}

// The others fill an array, and return it.
Array random_uniform(Array out, Array state, double low, double span, double high) {
  uint32_t* words = words_of(state);
  fill("random_uniform", out, [&](const auto& table, auto* to, int64_t n) {
    table.random_uniform(to, words, low, span, high, n);
  });
  return out;
}

Array random_bernoulli(Array out, Array state, int64_t limit, double one) {
  uint32_t* words = words_of(state);
  fill("random_bernoulli", out, [&](const auto& table, auto* to, int64_t n) {
    table.random_bernoulli(to, words, limit, one, n);
  });
  return out;
}

Array random_below(Array out, Array state, int64_t span, int64_t low) {
  uint32_t* words = words_of(state);
  require(is<int64_t>(out) && fillable(out),
          "random_below: the array to fill must be contiguous, of int64");
  require(span > 0 && span <= UINT32_MAX, "random_below: the range has 1 to 2^32 - 1 numbers");
  auto* to = data<int64_t>(out);
  const int64_t n = out.size();
  without_gil(n, [&] { active<float>().random_below(to, words, span, low, n); });
  return out;
}

Array random_order(Array state, int64_t n) {
  uint32_t* words = words_of(state);
  require(n >= 0 && n >> 32 == 0, "random_order: a negative number, or 2^32 and more");
  Array out = empty<int64_t>({n});
  auto* to = data<int64_t>(out);
  without_gil(n, [&] { active<float>().random_order(to, words, n); });
  return out;
}

// In blocks of 16, the last of which ends with the array: what it writes over has been drawn for
// nothing, or with `whole` false has not been drawn.
Array random_normal(Array out, Array state, double mean, double std, bool whole) {
  uint32_t* words = words_of(state);
  require(out.size() >= 16, "random_normal: normals are made in blocks of 16");
  fill("random_normal", out, [&](const auto& table, auto* to, int64_t n) {
    const int64_t rest = n % 16;
    table.random_normal(to, words, mean, std, n - rest);
    if (rest == 0) return;
    uint32_t passed[2 * 16];
    if (whole) active<float>().random_words(passed, words, rest * int64_t(sizeof *to) / 4);
    table.random_normal(to + n - 16, words, mean, std, 16);
  });
  return out;
}

// A generator's lock, held: nobody else draws.
class Held {
 public:
  explicit Held(py::handle lock) : lock_(lock) {
    static PyObject* const acquire = PyUnicode_InternFromString("acquire");
    if (!py::reinterpret_steal<py::object>(PyObject_CallMethodNoArgs(lock.ptr(), acquire)))
      throw py::error_already_set();
  }
  ~Held() {
    static PyObject* const release = PyUnicode_InternFromString("release");
    Py_XDECREF(PyObject_CallMethodNoArgs(lock_.ptr(), release));
  }

 private:
  py::handle lock_;
};

// f(a generator's state) while nobody else draws from it: see generator.py.
template <class F>
void drawing(py::handle generator, const F& f) {
  static PyObject* const lock_name = PyUnicode_InternFromString("_lock");
  static PyObject* const state_name = PyUnicode_InternFromString("_state");
  const auto lock = py::reinterpret_steal<py::object>(PyObject_GetAttr(generator.ptr(), lock_name));
  if (!lock) {
    PyErr_Clear();
    throw py::type_error("random: the numbers are drawn by a generator");
  }
  const Held held(lock);
  const py::object state = generator.attr(py::handle(state_name));
  require(py::isinstance<Array>(state), "a generator's state is an array");
  f(py::reinterpret_borrow<Array>(state));
}

// Whether this is a small contiguous array that can be written.
bool takes_few(PyObject* given) {
  if (!py::isinstance<Array>(given)) return false;
  const auto out = py::reinterpret_borrow<Array>(given);
  return fillable(out) && out.size() < kWithGil;
}

// A small array filled with usual numbers: normal ones of a mean and a deviation, or uniform ones
// of [low, high), integers too. None where anything about it is out of the ordinary.
PyObject* random_few(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 5 || !takes_few(arguments[0]) || !PyBool_Check(arguments[2]) ||
      !Argument<double>::fits(arguments[3]) || !Argument<double>::fits(arguments[4]))
    Py_RETURN_NONE;
  auto out = py::reinterpret_borrow<Array>(arguments[0]);
  const bool normal = arguments[2] == Py_True;
  const double first = Argument<double>::get(arguments[3]);
  const double second = Argument<double>::get(arguments[4]);
  if (normal && (out.size() < 16 || !(second >= 0))) Py_RETURN_NONE;
  const auto fill = [&](auto t) -> PyObject* {
    using T = decltype(t);
    const T low = static_cast<T>(first), high = static_cast<T>(second);
    const T span = high - low;
    if (!normal && !(low <= high && std::isfinite(span))) Py_RETURN_NONE;
    drawing(arguments[1], [&](const Array& state) {
      if (normal)
        random_normal(out, state, first, second, true);
      else
        random_uniform(out, state, low, span, second);
    });
    return out.release().ptr();
  };
  if (is<float>(out)) return fill(float{});
  if (is<double>(out)) return fill(double{});
  const bool whole = PyLong_Check(arguments[3]) && PyLong_Check(arguments[4]);
  const double span = second - first;  // exact where it is small enough
  if (!is<int64_t>(out) || normal || !whole || !(span > 0 && span < 1 << 28) ||
      std::abs(first) > 1LL << 52)
    Py_RETURN_NONE;
  drawing(arguments[1], [&](const Array& state) {
    random_below(out, state, static_cast<int64_t>(span), static_cast<int64_t>(first));
  });
  return out.release().ptr();
}

// A small array of ones with the probabilities p, which has its shape and dtype, and zeros. None
// where anything about it is out of the ordinary.
PyObject* bernoulli_few(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 3 || !takes_few(arguments[0]) || !py::isinstance<Array>(arguments[2]))
    Py_RETURN_NONE;
  auto out = py::reinterpret_borrow<Array>(arguments[0]);
  const auto p = py::reinterpret_borrow<Array>(arguments[2]);
  const auto draw = [&](auto t) -> PyObject* {
    using T = decltype(t);
    const bool whole = p.flags() & Array::c_style;
    if (!is<T>(p) || !whole || shape_of(p) != shape_of(out) || out.is(p)) Py_RETURN_NONE;
    const T* from = data<T>(p);
    const auto likely = [](T x) { return x >= 0 && x <= 1; };
    if (!std::all_of(from, from + p.size(), likely)) Py_RETURN_NONE;
    drawing(arguments[1], [&](const Array& state) { random_uniform(out, state, 0, 1, 1); });
    T* to = data<T>(out);
    for (int64_t i = 0; i < out.size(); ++i) to[i] = to[i] < from[i] ? 1 : 0;
    return out.release().ptr();
  };
  if (is<float>(out)) return draw(float{});
  if (is<double>(out)) return draw(double{});
  Py_RETURN_NONE;
}

// `typed`, but that what does not fit is an error: nothing else could draw in its place.
template <auto f>
PyObject* drawn(PyObject* self, PyObject* const* arguments, Py_ssize_t given) {
  PyObject* const out = typed<f>(self, arguments, given);
  if (out != Py_None) return out;
  Py_DECREF(out);
  PyErr_SetString(PyExc_TypeError, "random: takes arrays, and numbers of Python's own");
  return nullptr;
}

}  // namespace

void bind_random(py::module_& m) {
  def_fast(m, "seed_words", "seed_words(seed: int) -> numpy.ndarray", drawn<seed_words>);
  def_fast(m, "random_words", "random_words(state: numpy.ndarray, n: int) -> numpy.ndarray",
           drawn<random_words>);
  def_fast(m, "random_uniform",
           "random_uniform(out: numpy.ndarray, state: numpy.ndarray, low: float, span: float, "
           "high: float) -> numpy.ndarray",
           drawn<random_uniform>);
  def_fast(m, "random_bernoulli",
           "random_bernoulli(out: numpy.ndarray, state: numpy.ndarray, limit: int, one: float) -> "
           "numpy.ndarray",
           drawn<random_bernoulli>);
  def_fast(m, "random_below",
           "random_below(out: numpy.ndarray, state: numpy.ndarray, span: int, low: int) -> "
           "numpy.ndarray",
           drawn<random_below>);
  def_fast(m, "random_order", "random_order(state: numpy.ndarray, n: int) -> numpy.ndarray",
           drawn<random_order>);
  def_fast(
      m, "random_normal",
      "random_normal(out: numpy.ndarray, state: numpy.ndarray, mean: float, std: float, whole: "
      "bool) -> numpy.ndarray",
      drawn<random_normal>);
  MT_CALLED("random_few",
            "(out: object, generator: object, normal: bool, first: float, second: float) -> "
            "numpy.ndarray | None",
            random_few(arguments, given));
  MT_CALLED("bernoulli_few",
            "(out: object, generator: object, p: numpy.ndarray) -> numpy.ndarray | None",
            bernoulli_few(arguments, given));
}

}  // namespace mt
