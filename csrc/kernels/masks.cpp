// What a mask takes out of x (n), side by side, and where that goes back to. The mask goes by in
// stretches, each of which knows how many were taken `before` it, so that threads write apart.
// Without branches: what is not taken is overwritten by what comes next.
#include "../kernels.h"
#include "../runtime/parallel.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kGrain = 4;  // stretches that a thread takes at a time

inline int64_t stretches(int64_t n) { return (n + kMaskStretch - 1) / kMaskStretch; }
inline int64_t end_of(int64_t s, int64_t n) {
  return (s + 1) * kMaskStretch < n ? (s + 1) * kMaskStretch : n;
}

// before[s] = how many of mask[0 .. s kMaskStretch) are set; the last is the number of all
template <class T>
void mask_counts(int64_t* before, const uint8_t* mask, int64_t n) {
  before[0] = 0;
  for_ranges(stretches(n), kGrain, [&](int64_t from, int64_t to) {
    for (int64_t s = from; s < to; ++s) {
      int64_t count = 0;
      for (int64_t i = s * kMaskStretch; i < end_of(s, n); ++i) count += mask[i] != 0;
      before[s + 1] = count;
    }
  });
  for (int64_t s = 0; s < stretches(n); ++s) before[s + 1] += before[s];
}

// out[k] = x[place of the k-th that is set]
template <class T>
void mask_take(T* out, const T* x, const uint8_t* mask, const int64_t* before, int64_t n) {
  for_ranges(stretches(n), kGrain, [&](int64_t from, int64_t to) {
    for (int64_t s = from; s < to; ++s) {
      const int64_t last = before[s + 1];
      for (int64_t k = before[s], i = s * kMaskStretch; k < last; ++i) {
        out[k] = x[i];
        k += mask[i] != 0;
      }
    }
  });
}

// dx[place of the k-th that is set] = g[k], and 0 elsewhere
template <class T>
void mask_take_vjp(T* dx, const T* g, const uint8_t* mask, const int64_t* before, int64_t n) {
  for_ranges(stretches(n), kGrain, [&](int64_t from, int64_t to) {
    for (int64_t s = from; s < to; ++s) {
      const int64_t last = before[s + 1];
      int64_t k = before[s], i = s * kMaskStretch;
      for (; k < last; ++i) {
        const T one[2] = {0, g[k]};
        dx[i] = one[mask[i] != 0];
        k += mask[i] != 0;
      }
      for (; i < end_of(s, n); ++i) dx[i] = 0;
    }
  });
}

// place (count, axes): the coordinates of each that is set, in an array of these sizes. `Axes` are
// they, or 0 where there are others than the compiler knows.
template <int Axes>
void places(int64_t* place, const uint8_t* mask, const int64_t* before, const int64_t* size,
            int given, int64_t n) {
  const int axes = Axes ? Axes : given;
  for_ranges(stretches(n), kGrain, [&](int64_t from, int64_t to) {
    for (int64_t s = from; s < to; ++s) {
      int64_t at[kMaxDims], rest = s * kMaskStretch;
      for (int d = axes - 1; d >= 0; rest /= size[d--]) at[d] = rest % size[d];
      const int64_t last = before[s + 1], width = size[axes - 1];
      int64_t j = at[axes - 1];
      for (int64_t k = before[s], i = s * kMaskStretch; k < last; j = 0) {
        for (; j < width && k < last; ++i, ++j) {
          for (int d = 0; d < axes - 1; ++d) place[k * axes + d] = at[d];
          place[k * axes + axes - 1] = j;
          k += mask[i] != 0;
        }
        for (int d = axes - 2; d >= 0 && ++at[d] == size[d]; --d) at[d] = 0;
      }
    }
  });
}
template <class T>
void mask_places(int64_t* place, const uint8_t* mask, const int64_t* before, const int64_t* size,
                 int axes, int64_t n) {
  const auto run = axes == 1 ? places<1> : axes == 2 ? places<2> : places<0>;
  run(place, mask, before, size, axes, n);
}

}  // namespace

MT_KERNEL(mask_counts, mask_counts)
MT_KERNEL(mask_take, mask_take)
MT_KERNEL(mask_take_vjp, mask_take_vjp)
MT_KERNEL(mask_places, mask_places)

}  // namespace mt::MT_ISA
