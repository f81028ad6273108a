// The loop under every elementwise kernel: out = f(x, y, ...) over a Walk, whole vectors at a time.
//
// An operand is, along the innermost axis, contiguous, one value, or anything else; the last kind
// is gathered into a small block first, and an output of that kind spread out of one. Of rows too
// short to be worth a loop several are one: as they lie, if that is without gaps, or gathered. So f
// sees contiguous memory or a repeated value, and there is one inner loop, whose tail goes through
// the same f.
#pragma once

#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "ahead.h"
#include "place.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kBlock = 2048;  // elements that are gathered at a time
constexpr int64_t kLongRow = 64;  // shorter rows are gathered

// Of the numbers from p on every second one, or those from p down to p - kLanes + 1.
template <class T, bool down>
inline Vec<T> picked(const T* p) {
#if defined(__clang__)
  Vec<T> v;
  for (int i = 0; i < kLanes<T>; ++i) v[i] = down ? p[-i] : p[2 * i];
  return v;
#else
  Mask<T> at;
  for (int i = 0; i < kLanes<T>; ++i) at[i] = down ? kLanes<T> - 1 - i : 2 * i;
  const T* const first = down ? p - kLanes<T> + 1 : p;
  return __builtin_shuffle(load(first), load(down ? first : first + kLanes<T>), at);
#endif
}

// out = x, n numbers, of which the last may be written twice. A few are not worth memcpy's call.
template <class T>
inline void move_row(T* out, const T* x, int64_t n) {
  constexpr int64_t L = kLanes<T>;
  int64_t i = 0;
  if (n >= 256) {
    std::memcpy(out, x, n * sizeof(T));
  } else if (n >= L) {
    for (; i + L <= n; i += L) store(out + i, load(x + i));
    store(out + n - L, load(x + n - L));
  } else if (n >= 4) {
    for (; i + 4 <= n; i += 4) std::memcpy(out + i, x + i, 4 * sizeof(T));
    std::memcpy(out + n - 4, x + n - 4, 4 * sizeof(T));
  } else {
    for (; i < n; ++i) out[i] = x[i];
  }
}

template <class T>
inline void copy_row(T* out, const T* x, int64_t stride, int64_t n) {
  if (stride == 1) {
    std::memcpy(out, x, n * sizeof(T));
    return;
  }
  int64_t i = 0;
  if constexpr (sizeof(T) >= 4) {
    if (stride == 0 && n >= kLanes<T>) {
      const Vec<T> v = splat(*x);
      for (; i + kLanes<T> <= n; i += kLanes<T>) store(out + i, v);
      store(out + n - kLanes<T>, v);
      return;
    }
    if (stride == 2)  // a vector reads one number more than it takes: not at the end
      for (; i + kLanes<T> < n; i += kLanes<T>) store(out + i, picked<T, false>(x + 2 * i));
    if (stride == -1)
      for (; i + kLanes<T> <= n; i += kLanes<T>) store(out + i, picked<T, true>(x - i));
  }
  for (; i < n; ++i) out[i] = x[i * stride];
}

// `rows` rows of `cols` numbers, `step` apart, the rows `next` apart, one after the other. After
// the last there must be room for a vector.
template <class T>
inline void gather(T* out, const T* x, int64_t next, int64_t step, int64_t rows, int64_t cols) {
  if (rows == 1) return copy_row(out, x, step, cols);
  if constexpr (sizeof(T) >= 4) {
    if (step == 0) {
      for (; rows > 0; --rows, x += next, out += cols) {
        const Vec<T> v = splat(*x);
        for (int64_t i = 0; i < cols; i += kLanes<T>) store(out + i, v);
      }
      return;
    }
  }
  for (; rows > 0; --rows, x += next, out += cols) {
    if constexpr (sizeof(T) >= 4) {
      if (step == 1) {
        for (int64_t i = 0; i < cols; i += kLanes<T>) {
          const int n = cols - i < kLanes<T> ? static_cast<int>(cols - i) : kLanes<T>;
          store(out + i, n == kLanes<T> ? load(x + i) : load_n(x + i, n));
        }
        continue;
      }
    }
    for (int64_t i = 0; i < cols; ++i) out[i] = x[i * step];
  }
}

// The inverse.
template <class T>
__attribute__((noinline)) void scatter(T* out, const T* x, int64_t next, int64_t step, int64_t rows,
                                       int64_t cols) {
  for (; rows > 0; --rows, x += cols, out += next) {
    if (step == 1)
      std::memcpy(out, x, cols * sizeof(T));
    else
      for (int64_t i = 0; i < cols; ++i) out[i * step] = x[i];
  }
}

// What the inner loop reads of one operand: rows of n values at `at` if step is 1, or if it is 0 of
// one value, kLanes times; the rows are `next` apart.
template <class T>
struct Reading {
  const T* at;
  int64_t step, next;
};

// One operand, and where it is gathered.
template <class T, int kLanesUsed>
struct Operand {
  const T* x;
  Reading<T> reading{nullptr, 1, 0};
  const T* repeated = nullptr;  // the row that the block holds, `times` times
  int64_t times = 0;
  alignas(64) T block[kBlock + kLanesUsed];  // a repeated value does not straddle two lines

  explicit Operand(const T* base) : x(base) {}

  // Rows that are each contiguous, or one value: at most kBlock / kLanesUsed of these.
  __attribute__((noinline)) void lines(int64_t offset, int64_t next, int64_t step, int64_t rows) {
    reading = {x + offset, 1, next};
    if (step != 0) return;
    reading = {block, 0, next == 0 ? 0 : kLanesUsed};
    for (int64_t r = 0; r < (next == 0 ? 1 : rows); ++r) {
      const T value = x[offset + r * next];
      for (int i = 0; i < kLanesUsed; ++i) block[r * kLanesUsed + i] = value;
    }
  }

  // Several rows, or a row of any step, as one.
  __attribute__((noinline)) void rows(int64_t offset, int64_t next, int64_t step, int64_t rows,
                                      int64_t cols) {
    const T* const from = x + offset;
    const bool one = rows == 1;
    reading = {from, 1, 0};
    if (step == 1 && (one || next == cols)) return;
    reading = {block, 1, 0};
    if (step == 0 && (one || next == 0)) {
      repeated = nullptr;
      lines(offset, 0, 0, 1);
    } else if (one || next != 0 || from != repeated || rows > times) {
      gather(block, from, next, step, rows, cols);
      repeated = one || next != 0 ? nullptr : from;
      times = rows;
    }
  }
};

// The same of one short row, contiguous or of one value.
template <class T, int kLanesUsed>
struct Row {
  Reading<T> reading;
  alignas(64) T repeated[kLanesUsed];

  explicit Row(const T* base) : reading{base, 1, 0} {}

  void read(int64_t step) {
    if (step != 0) return;
    const T value = *reading.at;
    for (T& to : repeated) to = value;
    reading = {repeated, 0, 0};
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
  Mask<T> m{};
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

// run(x, y), functions of the place, that of a repeated value with the value in a register.
template <class T, class F>
inline void held(const F& run, Reading<T> x, Reading<T> y) {
  const auto each = [](Reading<T> x) { return [x](int64_t i) { return lanes<T>(x, i); }; };
  const auto one = [](Reading<T> x) { return [v = load(x.at)](int64_t) { return v; }; };
  if (x.step == 0)
    run(one(x), each(y));
  else if (y.step == 0)
    run(each(x), one(y));
  else
    run(each(x), each(y));
}

// Lines of a kernel, `next` apart: the inner loop, over vectors of the output that lie as the
// cache's lines do, before and after them a part of one. All that lies around it is compiled once
// for all kernels of the same operands. `ahead`: so many bytes on a line is asked for; 0 asks for
// what is written at once, which costs less than a branch around it.
template <class Out, class... In>
using Lines = void (*)(const void* f, Out* out, int64_t next, int64_t rows, int64_t n,
                       int64_t ahead, Reading<In>... x);

template <class T, bool holds, class F, class Out, class... In>
__attribute__((flatten)) void lines(  // f to its last function: its constants stay in registers
    const void* function, Out* out, int64_t next, int64_t rows, int64_t n, int64_t ahead,
    Reading<In>... x) {
  const F f = *static_cast<const F*>(function);
  for (; rows > 0; --rows, out += next, (..., (x.at += x.next))) {
    const int64_t before = -(reinterpret_cast<uintptr_t>(out) / sizeof(Out)) % kLanes<T>;
    for (int64_t i = 0, part = before < n ? before : n; i < n; part = n - i) {
      if (part > 0) {
        const int count = static_cast<int>(part);
        put<T>(out + i, f(lanes<T>(x, i, count)...), count);
        i += part;
      }
      const auto whole = [&](const auto&... at) {
        for (; i + kLanes<T> <= n; i += kLanes<T>) {
          fetch_to_write(reinterpret_cast<const char*>(out + i) + ahead);
          put<T>(out + i, f(at(i)...), kLanes<T>);
        }
      };
      if constexpr (holds)
        held<T>(whole, x...);
      else
        whole([x](int64_t i) { return lanes<T>(x, i); }...);
    }
  }
}

template <class T, class Out, class... In>
__attribute__((noinline)) void for_lines(const Walk& walk, Lines<Out, In...> lines, const void* f,
                                         Out* out, const In*... in) {
  constexpr int kInputs = sizeof...(In);
  const int last = walk.ndim - 1, before = last > 0 ? last - 1 : 0;
  const int64_t width = walk.size[last];
  if (walk.count == 0) return;
  bool gathers = walk.stride[0][last] != 1;
  for (int k = 1; k <= kInputs; ++k)
    gathers |= walk.stride[k][last] != 0 && walk.stride[k][last] != 1;
  if (walk.ndim == 1 && !gathers && width <= kBlock) {  // nothing to gather or to share out
    const auto row = [&](auto&&... x) {
      int k = 1;
      (..., x.read(walk.stride[k++][0]));
      lines(f, out, 0, 1, width, 0, x.reading...);
    };
    return row(Row<In, kLanes<T>>(in)...);
  }
  const bool long_rows = walk.ndim == 1 || width >= kLongRow;
  const int64_t unit = long_rows ? 1 : width, group = kBlock / unit;
  const int64_t ahead = worth_asking(walk.count * static_cast<int64_t>(sizeof(Out))) ? kAhead : 0;

  for_ranges(walk.count / unit, even_grain(walk.count) / unit, [&](int64_t begin, int64_t end) {
    Place place(walk, kInputs, begin * unit);
    Out spread[kBlock];
    auto run = [&](auto&&... x) {
      while (begin < end) {
        int64_t rows = 1, cols = width, n = end - begin;
        if (!long_rows) {
          if (n > group) n = group;
          if (n > place.left(before)) n = place.left(before);
          rows = n;
        } else if (!gathers && last > 0 && n >= 2 * width && place.left_in_row() == width) {
          // Whole rows.
          rows = n / width;
          if (rows > place.left(before)) rows = place.left(before);
          if (rows > kBlock / kLanes<T>) rows = kBlock / kLanes<T>;
          int k = 1;
          (...,
           (x.lines(place.offset[k], walk.stride[k][before], walk.stride[k][last], rows), ++k));
          lines(f, out + place.offset[0], walk.stride[0][before], rows, width, ahead, x.reading...);
          place.advance(before, rows);
          begin += rows * width;
          continue;
        } else {
          if (gathers && n > kBlock) n = kBlock;
          if (n > place.left_in_row()) n = place.left_in_row();
          cols = n;
        }
        int k = 1;
        (...,
         (x.rows(place.offset[k], walk.stride[k][before], walk.stride[k][last], rows, cols), ++k));
        Out* const to = out + place.offset[0];
        const int64_t next = walk.stride[0][before], step = walk.stride[0][last];
        if (step == 1 && (rows == 1 || next == cols)) {
          lines(f, to, 0, 1, rows * cols, ahead, x.reading...);
        } else {
          lines(f, spread, 0, 1, rows * cols, 0, x.reading...);
          scatter(to, spread, next, step, rows, cols);
        }
        place.advance(long_rows ? last : before, n);
        begin += n;
      }
    };
    run(Operand<In, kLanes<T>>(in)...);
  });
}

// out = f(x, ...): f takes and gives vectors of kLanes<T>. `holds`: f, of two, does so little that
// one load the less is worth a loop of its own.
template <class T, bool holds = false, class Out, class F, class... In>
inline void elementwise(const Walk& walk, const F& f, Out* out, const In*... in) {
  for_lines<T, Out, In...>(walk, lines<T, holds, F, Out, In...>, &f, out, in...);
}

// A kernel of a few words: `expression` gives the output's vector from the inputs' vectors x, y.
#define MT_UNARY(name, expression)                                                \
  template <class T>                                                              \
  void name(T* out, const T* x0, const Walk& walk) {                              \
    elementwise<T>(walk, [](Vec<T> x) -> Vec<T> { return expression; }, out, x0); \
  }
#define MT_BINARY(name, expression) MT_BINARY_HOLDING(name, false, expression)
#define MT_BINARY_HOLDING(name, holds, expression)                          \
  template <class T>                                                        \
  void name(T* out, const T* x0, const T* y0, const Walk& walk) {           \
    const auto f = [](Vec<T> x, Vec<T> y) -> Vec<T> { return expression; }; \
    elementwise<T, holds>(walk, f, out, x0, y0);                            \
  }

}  // namespace
}  // namespace mt::MT_ISA
