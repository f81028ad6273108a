// The loop under every elementwise kernel: out = f(x, y, ...) over a Walk, whole vectors at a time.
//
// The output is contiguous. An input is, along the innermost axis, contiguous, one value, or
// anything else; the last kind, and rows too short to be worth a loop, are gathered into a small
// block first. So f sees contiguous memory or a repeated value, and there is one inner loop, whose
// tail goes through the same f.
#pragma once

#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "ahead.h"

namespace mt::MT_ISA {
namespace {

// Elements that a thread takes at a time. The second one costs a microsecond; it pays from about
// 3 us of work on, and gains 1.1 to 1.4 times at 2^15 (bench/scaling.py --crossover).
constexpr int64_t kGrain = 1 << 14;

// kGrain or a little less, so that an even number of chunks is of one size: two threads finish
// together.
inline int64_t even_grain(int64_t count) {
  if (count <= kGrain || count >= 32 * kGrain) return kGrain;
  const int64_t pairs = (count + 2 * kGrain - 1) / (2 * kGrain);
  return ((count + 2 * pairs - 1) / (2 * pairs) + 63) / 64 * 64;
}

constexpr int64_t kBlock = 512;   // elements that are gathered at a time
constexpr int64_t kLongRow = 64;  // shorter rows are gathered

// A place in the walk: the index along each axis, and each input's offset.
template <int kInputs>
struct Place {
  const Walk& walk;
  int64_t index[kMaxDims];
  int64_t offset[1 + kInputs] = {};

  Place(const Walk& w, int64_t begin) : walk(w) {
    for (int d = w.ndim - 1; d >= 0; --d) {
      index[d] = begin % w.size[d];
      begin /= w.size[d];
      for (int k = 1; k <= kInputs; ++k) offset[k] += index[d] * w.stride[k][d];
    }
  }
  int64_t left_in_row() const { return walk.size[walk.ndim - 1] - index[walk.ndim - 1]; }

  void advance(int64_t n) {  // by at most left_in_row()
    int d = walk.ndim - 1;
    index[d] += n;
    for (int k = 1; k <= kInputs; ++k) offset[k] += n * walk.stride[k][d];
    for (; d > 0 && index[d] == walk.size[d]; --d) {
      index[d] = 0;
      ++index[d - 1];
      for (int k = 1; k <= kInputs; ++k)
        offset[k] += walk.stride[k][d - 1] - walk.size[d] * walk.stride[k][d];
    }
  }
};

template <class T>
inline void copy_row(T* out, const T* x, int64_t stride, int64_t n) {
  if (stride == 1)
    std::memcpy(out, x, n * sizeof(T));
  else
    for (int64_t i = 0; i < n; ++i) out[i] = x[i * stride];
}

// What the inner loop reads of one operand: n values at `at` if step is 1, or if it is 0 one value,
// kLanes times.
template <class T>
struct Reading {
  const T* at;
  int64_t step;
};

// One operand, and where it is gathered.
template <class T, int kLanesUsed>
struct Operand {
  const T* x;
  Reading<T> reading{nullptr, 1};
  T block[kBlock];

  explicit Operand(const T* base) : x(base) {}

  void row(int64_t offset, int64_t stride, int64_t n) {
    reading = {stride == 1 ? x + offset : block, stride != 0};
    if (stride != 1) copy_row(block, x + offset, stride, stride == 0 ? kLanesUsed : n);
  }
};

template <class T>
inline Vec<T> lanes(Reading<T> x, int64_t i) {
  return load(x.at + i * x.step);
}
template <class T>
inline Vec<T> lanes(Reading<T> x, int64_t i, int n) {
  return load_n(x.at + i * x.step, n);
}

// A condition: bytes, 0 or not.
template <class T>
inline Mask<T> as_mask(const uint8_t* p, int n) {
  uint8_t byte[kLanes<T>] = {};
  std::memcpy(byte, p, n);
  Mask<T> m;
  for (int i = 0; i < kLanes<T>; ++i) m[i] = byte[i];
  return m != 0;
}
template <class T>
inline Mask<T> lanes(Reading<uint8_t> x, int64_t i, int n = kLanes<T>) {
  return as_mask<T>(x.at + i * x.step, n);
}

// The output: numbers, or what a comparison gives as bytes of 0 and 1.
template <class T>
inline void put(T* out, Vec<T> v, int n) {
  if (n == kLanes<T>)
    store(out, v);
  else
    store_n(out, v, n);
}
template <class T>
inline void put(uint8_t* out, Mask<T> m, int n) {
  typedef uint8_t Bytes __attribute__((vector_size(kLanes<T>)));
  const Bytes bytes = __builtin_convertvector(m, Bytes) & 1;
  std::memcpy(out, &bytes, n);
}

// One line of a kernel: the inner loop. All that lies around it is compiled once for all kernels of
// the same operands.
template <class Out, class... In>
using Line = void (*)(const void* f, Out* out, int64_t n, Reading<In>... x);

template <class T, class F, class Out, class... In>
__attribute__((flatten)) void line(  // f to its last function: its constants stay in registers
    const void* function, Out* out, int64_t n, Reading<In>... x) {
  const F f = *static_cast<const F*>(function);
  constexpr int64_t kStride = 16 * kLanes<T>;
  const bool ahead = n * static_cast<int64_t>(sizeof(Out)) >= kWorthAhead;
  int64_t i = 0;
  while (i + kLanes<T> <= n) {
    const int64_t end = ahead && i + kStride < n ? i + kStride : n;
    if (ahead) will_write(out + i, kStride);
    for (; i + kLanes<T> <= end; i += kLanes<T>) put<T>(out + i, f(lanes<T>(x, i)...), kLanes<T>);
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    put<T>(out + i, f(lanes<T>(x, i, rest)...), rest);
  }
}

template <class T, class Out, class... In>
__attribute__((noinline)) void for_lines(const Walk& walk, Line<Out, In...> line, const void* f,
                                         Out* out, const In*... in) {
  constexpr int kInputs = sizeof...(In);
  const int last = walk.ndim - 1;
  const bool long_rows = walk.ndim == 1 || walk.size[last] >= kLongRow;
  bool gathers = false;
  for (int k = 1; k <= kInputs; ++k)
    gathers |= walk.stride[k][last] != 0 && walk.stride[k][last] != 1;

  for_ranges(walk.count, even_grain(walk.count), [&](int64_t begin, int64_t end) {
    Place<kInputs> place(walk, begin);
    auto run = [&](auto&&... x) {
      while (begin < end) {
        int64_t n = end - begin;
        if ((gathers || !long_rows) && n > kBlock) n = kBlock;
        if (long_rows) {
          if (n > place.left_in_row()) n = place.left_in_row();
          int k = 1;
          (..., (x.row(place.offset[k], walk.stride[k][last], n), ++k));
          place.advance(n);
        } else {
          for (int64_t filled = 0; filled < n;) {
            int64_t part = n - filled;
            if (part > place.left_in_row()) part = place.left_in_row();
            int k = 1;
            (...,
             (copy_row(x.block + filled, x.x + place.offset[k], walk.stride[k][last], part), ++k));
            place.advance(part);
            filled += part;
          }
          (..., (x.reading.at = x.block));
        }
        line(f, out + begin, n, x.reading...);
        begin += n;
      }
    };
    run(Operand<In, kLanes<T>>(in)...);
  });
}

// out = f(x, ...): f takes and gives vectors of kLanes<T>.
template <class T, class Out, class F, class... In>
inline void elementwise(const Walk& walk, const F& f, Out* out, const In*... in) {
  for_lines<T, Out, In...>(walk, line<T, F, Out, In...>, &f, out, in...);
}

// A kernel of a few words: `expression` gives the output's vector from the inputs' vectors x, y.
#define MT_UNARY(name, expression)                                                \
  template <class T>                                                              \
  void name(T* out, const T* x0, const Walk& walk) {                              \
    elementwise<T>(walk, [](Vec<T> x) -> Vec<T> { return expression; }, out, x0); \
  }
#define MT_BINARY(name, expression)                                                             \
  template <class T>                                                                            \
  void name(T* out, const T* x0, const T* y0, const Walk& walk) {                               \
    elementwise<T>(walk, [](Vec<T> x, Vec<T> y) -> Vec<T> { return expression; }, out, x0, y0); \
  }

}  // namespace
}  // namespace mt::MT_ISA
