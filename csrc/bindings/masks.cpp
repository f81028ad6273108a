#include "common.h"

namespace mt {
namespace {

// Whether a mask is one, and both lie contiguous; x's numbers where a processor expects them.
bool fit(const Array& x, const Array& mask) {
  constexpr int kWhole =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return (x.flags() & kWhole) == kWhole && (mask.flags() & Array::c_style) &&
         mask.dtype().kind() == 'b' && mask.ndim() > 0;
}

// A contiguous mask, and how many it takes.
struct Taken {
  Array mask;
  const uint8_t* p;
  int64_t n;
  std::vector<int64_t> before;

  explicit Taken(const Array& given)
      : mask(given),
        p(static_cast<const uint8_t*>(mask.data())),
        n(mask.size()),
        before((n + kMaskStretch - 1) / kMaskStretch + 1) {
    without_gil(n, [&] { active<float>().mask_counts(before.data(), p, n); });
  }
  int64_t count() const { return before.back(); }
};

// f of a number as large as x's, for what only moves them; whether there is one.
template <class F>
bool by_size(const Array& x, const F& f) {
  if (x.dtype().flags()) return false;  // references, say
  if (x.itemsize() == sizeof(float)) return f(float{}), true;
  if (x.itemsize() == sizeof(double)) return f(double{}), true;
  return false;
}

}  // namespace

py::object mask_take(const Array& x, const Array& mask) {
  if (!fit(x, mask) || shape_of(x) != shape_of(mask)) return py::none();
  Array y;
  const bool done = by_size(x, [&](auto t) {
    using T = decltype(t);
    const Taken taken(mask);
    y = empty(x.dtype(), {taken.count()});
    T* to = static_cast<T*>(y.mutable_data());
    const T* from = static_cast<const T*>(x.data());
    without_gil(taken.n,
                [&] { active<T>().mask_take(to, from, taken.p, taken.before.data(), taken.n); });
  });
  return done ? py::object(y) : py::none();
}

namespace {

// The array of the mask's shape that has g where the mask is set, and 0 elsewhere; None as
// mask_take.
py::object mask_take_vjp(const Array& g, const Array& mask) {
  if (!fit(g, mask)) return py::none();
  Array dx;
  bool fits = true;
  const bool done = by_size(g, [&](auto t) {
    using T = decltype(t);
    const Taken taken(mask);
    fits = g.ndim() == 1 && g.size() == taken.count();
    if (!fits) return;
    dx = empty(g.dtype(), shape_of(taken.mask));
    T* to = static_cast<T*>(dx.mutable_data());
    const T* from = static_cast<const T*>(g.data());
    without_gil(taken.n, [&] {
      active<T>().mask_take_vjp(to, from, taken.p, taken.before.data(), taken.n);
    });
  });
  return done && fits ? py::object(dx) : py::none();
}

// (count, axes): the coordinates of what is set in the mask; None if it is not contiguous.
py::object mask_places(const Array& mask) {
  if (!fit(mask, mask)) return py::none();
  const Taken taken(mask);
  const Shape shape = shape_of(taken.mask);
  const std::vector<int64_t> size(shape.begin(), shape.end());
  const int axes = static_cast<int>(size.size());
  Array place = empty<int64_t>({taken.count(), axes});
  int64_t* to = data<int64_t>(place);
  without_gil(taken.n, [&] {
    active<float>().mask_places(to, taken.p, taken.before.data(), size.data(), axes, taken.n);
  });
  return place;
}

}  // namespace

void bind_masks(py::module_& m) {
  def_fast(m, "mask_take_vjp",
           "mask_take_vjp(g: numpy.ndarray, mask: numpy.ndarray) -> numpy.ndarray | None",
           typed<mask_take_vjp>);
  def_fast(m, "mask_places", "mask_places(mask: numpy.ndarray) -> numpy.ndarray | None",
           typed<mask_places>);
}

}  // namespace mt
