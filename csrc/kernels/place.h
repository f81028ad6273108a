// Where a thread is in a Walk, and how much of one it takes: of kernels and bindings alike.
// Internal linkage, so that a copy compiled for one ISA is never linked into another.
#pragma once

#include "../kernels.h"
#include "../runtime/parallel.h"

namespace mt {
namespace {

// Elements that a thread takes at a time. The second one costs a microsecond; it pays from about
// 3 us of work on, and gains 1.1 to 1.4 times at 2^15 (bench/scaling.py --crossover).
constexpr int64_t kGrain = 1 << 14;

// `grain` or a little less, so that n are an even number of chunks of one size: two threads finish
// together.
inline int64_t even_grain(int64_t n, int64_t grain) {
  if (n <= grain) return grain;
  const int64_t pairs = (n + 2 * grain - 1) / (2 * grain);
  return (n + 2 * pairs - 1) / (2 * pairs);
}
// for_ranges in such ranges.
template <class F>
inline void for_even_ranges(int64_t n, int64_t grain, const F& f) {
  for_ranges(n, even_grain(n, grain), f);
}

__attribute__((noinline, unused)) int64_t even_grain(int64_t count) {
  return (even_grain(count, kGrain) + 63) / 64 * 64;
}

// A place in the walk: the index along each axis, and each operand's offset. Its functions are
// called, not copied into every loop.
struct Place {
  const Walk& walk;
  const int inputs;
  int64_t index[kMaxDims];
  int64_t offset[4] = {};

  __attribute__((noinline)) Place(const Walk& w, int inputs, int64_t begin)
      : walk(w), inputs(inputs) {
    for (int d = w.ndim - 1; d >= 0; --d) {
      index[d] = begin % w.size[d];
      begin /= w.size[d];
      for (int k = 0; k <= inputs; ++k) offset[k] += index[d] * w.stride[k][d];
    }
  }
  int64_t left(int d) const { return walk.size[d] - index[d]; }
  int64_t left_in_row() const { return left(walk.ndim - 1); }

  // Along axis d, by at most left(d).
  __attribute__((noinline)) void advance(int d, int64_t n) {
    index[d] += n;
    for (int k = 0; k <= inputs; ++k) offset[k] += n * walk.stride[k][d];
    for (; d > 0 && index[d] == walk.size[d]; --d) {
      index[d] = 0;
      ++index[d - 1];
      for (int k = 0; k <= inputs; ++k)
        offset[k] += walk.stride[k][d - 1] - walk.size[d] * walk.stride[k][d];
    }
  }
  void advance(int64_t n) { advance(walk.ndim - 1, n); }  // by at most left_in_row()
};

}  // namespace
}  // namespace mt
