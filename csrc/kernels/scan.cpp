// Scans along the middle axis of (outer, n, inner): what stands at i is made from what stands at
// i - 1, or reversed, at i + 1.
#include "../functions.h"
#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "place.h"
#include "widened.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kChunk = 1 << 15;  // elements that a thread takes at a time
constexpr int64_t kStrip = 512;      // columns that are scanned together

// f(o, column, width): a strip of columns for every outer index; rows where inner is 1.
template <class F>
void for_strips(int64_t outer, int64_t n, int64_t inner, const F& f) {
  if (outer == 0 || n == 0 || inner == 0) return;
  const int64_t width = inner < kStrip ? inner : kStrip, strips = (inner + width - 1) / width;
  for_even_ranges(outer * strips, 1 + kChunk / (n * width), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t column = task % strips * width;
      f(task / strips, column, inner - column < width ? inner - column : width);
    }
  });
}

// 0, 1, ..., n - 1, for a template.
template <int... i>
struct Sequence {};
template <int n, int... i>
struct Count : Count<n - 1, n - 1, i...> {};
template <int... i>
struct Count<0, i...> {
  using type = Sequence<i...>;
};
using Lanes = typename Count<kWide>::type;

// The lanes of a and b, counted on from a to b.
template <int... lane>
inline Vec<double> lanes_of(Vec<double> a, [[maybe_unused]] Vec<double> b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, lane...);
#else
  return __builtin_shuffle(a, b, Mask<double>{lane...});
#endif
}

// Lane i is joined with all before it, or reversed with all after it: those 1, 2, 4, ... apart.
template <class Op, bool reverse, int apart = 1, int... lane>
inline Vec<double> within(Vec<double> v, Sequence<lane...> lanes) {
  if constexpr (apart < kWide) {
    const Vec<double> none = splat(Op::start);
    const Vec<double> moved = reverse ? lanes_of<(lane + apart)...>(v, none)
                                      : lanes_of<(lane + kWide - apart)...>(none, v);
    return within<Op, reverse, 2 * apart>(Op::join(v, moved), lanes);
  } else {
    return v;
  }
}

struct Added {
  static constexpr double start = 0;
  static double one(double a, double b) { return a + b; }
  static Vec<double> join(Vec<double> a, Vec<double> b) { return a + b; }
  template <bool reverse>
  static Vec<double> within(Vec<double> v) {
    return mt::MT_ISA::within<Added, reverse>(v, Lanes{});
  }
};
struct Multiplied {
  static constexpr double start = 1;
  static double one(double a, double b) { return a * b; }
  static Vec<double> join(Vec<double> a, Vec<double> b) { return a * b; }
  template <bool reverse>
  static Vec<double> within(Vec<double> v) {
    return mt::MT_ISA::within<Multiplied, reverse>(v, Lanes{});
  }
};

// ln(e^a + e^b) = m + ln(1 + e^-|a - b|) with m the larger; called, for it is long
[[gnu::noinline]] Vec<double> log_sum(Vec<double> a, Vec<double> b) {
  const Vec<double> d = select<double>(a == b, Vec<double>{}, minus_abs<double>(a - b));
  return select<double>(a > b, a, b) + log1p<double>(exp_negative<double>(d));
}
struct LogSum {
  static constexpr double start = -__builtin_inf();
  static double one(double a, double b) { return log_sum(splat(a), splat(b))[0]; }
  static Vec<double> join(Vec<double> a, Vec<double> b) { return log_sum(a, b); }
  // m + ln(e^(v - m) summed) with m the largest, where none of these sums has lost its digits
  template <bool reverse>
  [[gnu::noinline]] static Vec<double> within(Vec<double> v) {
    const double m = max<double>(v);
    const Vec<double> s = Added::within<reverse>(exp<double>(v - m));
    if (any<double>(~(s > 0x1p-900))) return mt::MT_ISA::within<LogSum, reverse>(v, Lanes{});
    return m + log<double>(s);
  }
};

template <class T>
inline void put_narrowed(T* y, Vec<double> wide, int count) {
  typedef T Narrow __attribute__((vector_size(kWide * sizeof(T))));
  const Narrow v = __builtin_convertvector(wide, Narrow);
  if (count == kWide)
    std::memcpy(y, &v, sizeof v);
  else
    std::memcpy(y, &v, count * sizeof(T));
}

// y_i = x_0 joined ... with x_i, or reversed from the end, in double precision: a vector at a time,
// then what comes before it.
template <class T, class Op, bool reverse>
void scan_row(T* y, const T* x, int64_t n) {
  const int rest = static_cast<int>(n % kWide);
  Vec<double> before = splat(Op::start);
  const auto step = [&](int64_t at, int count) {
    const Vec<double> v = Op::template within<reverse>(widened(x + at, count));
    put_narrowed(y + at, Op::join(before, v), count);
    before = Op::join(before, splat(v[reverse ? 0 : kWide - 1]));
  };
  // What fills no vector is the last of all.
  for (int64_t done = 0; done + kWide <= n; done += kWide)
    step(reverse ? n - done - kWide : done, kWide);
  if (rest == 0) return;
  double total = before[0];
  for (int i = 0; i < rest; ++i) {
    const int64_t at = reverse ? rest - 1 - i : n - rest + i;
    total = Op::one(total, x[at]);
    y[at] = static_cast<T>(total);
  }
}

// Lines of n elements that are `step` apart: rows one after the other, or up to kWide columns.
template <class T, class Op>
[[gnu::noinline]] void scan_few(T* y, const T* x, int64_t lines, bool rows, int64_t n,
                                int64_t step) {
  if (rows) {  // those that follow begin before one has ended
    for (int64_t c = 0; c < lines; ++c, x += n, y += n) {
      double sum = Op::start;
      for (int64_t at = 0; at != n * step; at += step)
        y[at] = static_cast<T>(sum = Op::one(sum, x[at]));
    }
    return;
  }
  double sum[kWide];
  for (double& s : sum) s = Op::start;
  for (int64_t at = 0; at != n * step; at += step)
    for (int64_t c = 0; c < lines; ++c)
      y[at + c] = static_cast<T>(sum[c] = Op::one(sum[c], x[at + c]));
}

// Lines that are columns, more than kWide of them.
template <class T, class Op>
[[gnu::noinline]] void scan_columns(T* y, const T* x, int64_t width, int64_t n, int64_t step) {
  double sum[kStrip + kWide];
  for (int64_t i = 0; i < width + kWide; ++i) sum[i] = Op::start;
  for (int64_t j = 0, at = 0; j < n; ++j, at += step)
    for (int64_t i = 0; i < width; i += kWide) {
      const int count = static_cast<int>(width - i < kWide ? width - i : kWide);
      const Vec<double> s = Op::join(load(sum + i), widened(x + at + i, count));
      store(sum + i, s);
      put_narrowed(y + at + i, s, count);
    }
}

template <class T>
struct Scans {
  void (*few)(T* y, const T* x, int64_t lines, bool rows, int64_t n, int64_t step);
  void (*columns)(T* y, const T* x, int64_t width, int64_t n, int64_t step);
  void (*row)(T* y, const T* x, int64_t n);
};
template <class T, class Op>
constexpr Scans<T> scans() {
  return {scan_few<T, Op>, scan_columns<T, Op>, scan_row<T, Op, false>};
}

// y_oji = x_oki joined over k <= j, or, of sums alone, reversed over k >= j
template <class T>
void scan(T* y, const T* x, int64_t outer, int64_t n, int64_t inner, Join how, bool reverse) {
  const Scans<T> of = how == kSum       ? scans<T, Added>()
                      : how == kProduct ? scans<T, Multiplied>()
                                        : scans<T, LogSum>();
  const int64_t step = reverse ? -inner : inner;
  if (inner == 1 && n < 2 * kWide && n > 0) {
    const int64_t first = reverse ? n - 1 : 0;
    for_even_ranges(outer, 1 + kChunk / n, [&](int64_t begin, int64_t end) {
      of.few(y + begin * n + first, x + begin * n + first, end - begin, true, n, step);
    });
    return;
  }
  for_strips(outer, n, inner, [&](int64_t o, int64_t column, int64_t width) {
    const int64_t start = o * n * inner + column;
    const int64_t at = start + (reverse ? (n - 1) * inner : 0);
    if (inner == 1)
      (reverse ? scan_row<T, Added, true> : of.row)(y + start, x + start, n);
    else if (width <= kWide)
      of.few(y + at, x + at, width, false, n, step);
    else
      of.columns(y + at, x + at, width, n, step);
  });
}

// s_j = b_j + a_j s_j-1 with s_0 = b_0, or reversed s_j = b_j + a_j s_j+1 with s_n-1 = b_n-1
template <class T>
void linear_scan(T* s, const T* a, const T* b, int64_t outer, int64_t n, int64_t inner,
                 bool reverse) {
  for_strips(outer, n, inner, [&](int64_t o, int64_t column, int64_t width) {
    const int64_t step = reverse ? -inner : inner;
    int64_t at = o * n * inner + column + (reverse ? (n - 1) * inner : 0);
    std::memcpy(s + at, b + at, width * sizeof(T));
    for (int64_t j = 1; j < n; ++j) {
      at += step;
      T* row = s + at;
      const T *before = row - step, *slope = a + at, *more = b + at;
      for (int64_t i = 0; i < width; ++i) row[i] = more[i] + slope[i] * before[i];
    }
  });
}

// index_i = the last j <= i with x_j the largest (or the least) of x_0 .. x_i; NaN counts as such
template <class T, bool least>
void cum_extreme_of(int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner) {
  const auto better = [](T v, T best) { return (least ? v <= best : v >= best) | (v != v); };
  for_strips(outer, n, inner, [&](int64_t o, int64_t column, int64_t width) {
    const T* from = x + o * n * inner + column;
    int64_t* to = index + o * n * inner + column;
    if (width == 1) {
      T best = *from;
      int64_t at = 0;
      for (int64_t j = 0; j < n; ++j) {
        const T v = from[j * inner];
        if (better(v, best)) {
          best = v;
          at = j;
        }
        to[j * inner] = at;
      }
      return;
    }
    T best[kStrip];
    int64_t at[kStrip];
    std::memcpy(best, from, width * sizeof(T));
    std::memset(at, 0, width * sizeof(int64_t));
    for (int64_t j = 0; j < n; ++j)
      for (int64_t i = 0; i < width; ++i) {
        const T v = from[j * inner + i];
        const bool now = better(v, best[i]);
        best[i] = now ? v : best[i];
        to[j * inner + i] = at[i] = now ? j : at[i];
      }
  });
}
template <class T>
void cum_extreme(int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner, bool least) {
  (least ? cum_extreme_of<T, true> : cum_extreme_of<T, false>)(index, x, outer, n, inner);
}

}  // namespace

MT_KERNEL(cum_extreme, cum_extreme)
MT_KERNEL(scan, scan)
MT_KERNEL(linear_scan, linear_scan)

}  // namespace mt::MT_ISA
