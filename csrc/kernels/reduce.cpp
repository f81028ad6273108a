// Reductions over the middle axis of x (outer, n, inner), in the order of a binary tree: the error
// of a sum grows with log n. The tree depends on the sizes alone.
#include "../kernels.h"
#include "../runtime/memory.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "error.h"
#include "place.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kChunk = 1 << 15;  // elements that a thread takes at a time
constexpr int64_t kStrip = 512;      // columns that are reduced together, in the first-level cache
constexpr int64_t kLeafRows = 32;    // rows that are reduced one after the other
constexpr int64_t kLeafVectors =
    64;  // vectors of a row that are reduced into kWays of them one after the other
constexpr int kWays = 8;
constexpr int kShort = 2 * kWays;  // vectors of a row for which one sum will do
constexpr int kFew = 4;            // vectors of a row that are read side by side with other rows'

inline int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

// 0, 1, ..., n - 1, for a template.
template <int... i>
struct Sequence {};
template <int n, int... i>
struct Count : Count<n - 1, n - 1, i...> {};
template <int... i>
struct Count<0, i...> {
  using type = Sequence<i...>;
};
template <int n>
using UpTo = typename Count<n>::type;

// What is joined: `in` is applied to each element first, and of partial results there is no more to
// do than `Rest`.
template <class T>
struct Plain {
  static constexpr bool mapped = false;
  static Vec<T> in(Vec<T> v) { return v; }
};
template <class T>
struct Sum : Plain<T> {
  using Rest = Sum;
  static constexpr T start = 0;
  static Vec<T> join(Vec<T> a, Vec<T> b) { return a + b; }
  static T lanes(Vec<T> v) { return mt::MT_ISA::sum<T>(v); }
};
template <class T>
struct Squares : Sum<T> {
  using Rest = Sum<T>;
  static constexpr bool mapped = true;
  static Vec<T> in(Vec<T> v) { return v * v; }
};
template <class T>
struct Product : Plain<T> {
  using Rest = Product;
  static constexpr T start = 1;
  static Vec<T> join(Vec<T> a, Vec<T> b) { return a * b; }
  static T lanes(Vec<T> v) {
    return fold<T, kLanes<T>>(v, [](auto a, auto b) { return a * b; });
  }
};
template <class T>
struct Max : Plain<T> {
  using Rest = Max;
  static constexpr T start = T(-__builtin_inf());
  static Vec<T> join(Vec<T> a, Vec<T> b) { return maximum<T>(a, b); }
  static T lanes(Vec<T> v) { return max<T>(v); }
};
template <class T>
struct Min : Plain<T> {
  using Rest = Min;
  static constexpr T start = T(__builtin_inf());
  static Vec<T> join(Vec<T> a, Vec<T> b) { return minimum<T>(a, b); }
  static T lanes(Vec<T> v) { return min<T>(v); }
};

// take(0, kLanes) .. take(n - rest, rest), down to one vector; take(i, count) gives the `count`
// elements at i, and Op::start for the rest of the lanes.
template <class T, class Op, class Take>
__attribute__((noinline)) Vec<T> row_of(int64_t begin, int64_t n, const Take& take) {
  constexpr int64_t kLeaf = kLeafVectors * kLanes<T>;
  if (n > kLeaf) {
    const int64_t half = (n / kLeaf + 1) / 2 * kLeaf;
    return Op::join(row_of<T, Op>(begin, half, take), row_of<T, Op>(begin + half, n - half, take));
  }
  if (n >= kLanes<T> && n <= kShort * kLanes<T>) {
    Vec<T> v = take(begin, kLanes<T>);
    int64_t i = kLanes<T>;
    for (; i + kLanes<T> <= n; i += kLanes<T>) v = Op::join(v, take(begin + i, kLanes<T>));
    return i < n ? Op::join(v, take(begin + i, static_cast<int>(n - i))) : v;
  }
  Vec<T> way[kWays];  // in registers, where every loop over them is unrolled
#pragma GCC unroll 8
  for (int k = 0; k < kWays; ++k) way[k] = splat<T>(Op::start);
  int64_t i = 0;
  for (; i + kWays * kLanes<T> <= n; i += kWays * kLanes<T>)
#pragma GCC unroll 8
    for (int k = 0; k < kWays; ++k)
      way[k] = Op::join(way[k], take(begin + i + k * kLanes<T>, kLanes<T>));
  for (; i + kLanes<T> <= n; i += kLanes<T>)  // fewer than kWays vectors are left
    way[0] = Op::join(way[0], take(begin + i, kLanes<T>));
  if (i < n) way[kWays - 1] = Op::join(way[kWays - 1], take(begin + i, static_cast<int>(n - i)));
#pragma GCC unroll 4
  for (int half = kWays / 2; half > 0; half /= 2)
#pragma GCC unroll 4
    for (int k = 0; k < half; ++k) way[k] = Op::join(way[k], way[k + half]);
  return way[0];
}

// x[0] .. x[n-1], down to one vector.
template <class T, class Op>
Vec<T> row(const T* x, int64_t n) {
  return row_of<T, Op>(0, n, [x](int64_t i, int count) {
    return Op::in(count == kLanes<T> ? load(x + i) : load_n(x + i, count, Op::start));
  });
}

// Of two vectors, which count as one of twice the lanes: where it holds runs of kRun lanes, the
// first half of each run joined with the second.
template <class T, class Op, int kRun, int... lane>
inline Vec<T> join_halves(Vec<T> a, Vec<T> b, Sequence<lane...>) {
  constexpr int kHalf = kRun / 2;
#if defined(__clang__)
  const Vec<T> first = __builtin_shufflevector(a, b, (lane / kHalf * kRun + lane % kHalf)...);
  const Vec<T> second =
      __builtin_shufflevector(a, b, (lane / kHalf * kRun + lane % kHalf + kHalf)...);
#else
  const Vec<T> first = __builtin_shuffle(a, b, Mask<T>{(lane / kHalf * kRun + lane % kHalf)...});
  const Vec<T> second =
      __builtin_shuffle(a, b, Mask<T>{(lane / kHalf * kRun + lane % kHalf + kHalf)...});
#endif
  return Op::join(first, second);
}

// The join of the lanes of each of kLanes vectors, in a vector: in the order of Op::lanes, but with
// three instructions for each vector instead of two dozen.
template <class T, class Op, int kRun = kLanes<T>>
inline Vec<T> lanes_of(Vec<T>* v) {
  for (int k = 0; k < kRun / 2; ++k)
    v[k] = join_halves<T, Op, kRun>(v[2 * k], v[2 * k + 1], UpTo<kLanes<T>>{});
  if constexpr (kRun > 2)
    return lanes_of<T, Op, kRun / 2>(v);
  else
    return v[0];
}

// y[i] = the join of row i of x (kLanes, n).
template <class T, class Op>
void rows_together(T* y, const T* x, int64_t n) {
  constexpr int L = kLanes<T>;
  Vec<T> v[L];
  if (n > kFew * L) {
    for (int k = 0; k < L; ++k) v[k] = row<T, Op>(x + k * n, n);
  } else {  // as `row` does it, in the order that keeps the sums in registers
    const int begin = static_cast<int>(min_of(n, L));
    for (int k = 0; k < L; ++k) v[k] = Op::in(load_n(x + k * n, begin, Op::start));
    for (int64_t j = L; j < n; j += L) {
      const int count = static_cast<int>(min_of(n - j, L));
      for (int k = 0; k < L; ++k)
        v[k] = Op::join(v[k], Op::in(load_n(x + k * n + j, count, Op::start)));
    }
  }
  store(y, lanes_of<T, Op>(v));
}

// y[i] = join(y[i], x[i]) for `width` columns.
template <class T, class Op>
inline void join_row(T* y, const T* x, int64_t width) {
  int64_t i = 0;
  for (; i + kLanes<T> <= width; i += kLanes<T>)
    store(y + i, Op::join(load(y + i), Op::in(load(x + i))));
  if (i < width) {
    const int rest = static_cast<int>(width - i);
    store_n(y + i, Op::join(load_n(y + i, rest), Op::in(load_n(x + i, rest))), rest);
  }
}

// y = the n rows of x, `stride` apart, for `ways` vectors of columns that stay in registers, or for
// a single one of `rest` columns.
template <class T, class Op, int ways>
__attribute__((noinline)) void down(T* y, const T* x, int64_t n, int64_t stride, int rest) {
  const auto at = [rest](const T* p, int k) {
    return Op::in(ways > 1 ? load(p + k * kLanes<T>) : load_n(p, rest));
  };
  Vec<T> v[ways];
#pragma GCC unroll 8
  for (int k = 0; k < ways; ++k) v[k] = at(x, k);
  int64_t j = 1;
  for (; j + 4 <= n; j += 4)
#pragma GCC unroll 8
    for (int k = 0; k < ways; ++k) {
      const T* const p = x + j * stride;
      v[k] = Op::join(v[k], Op::join(Op::join(at(p, k), at(p + stride, k)),
                                     Op::join(at(p + 2 * stride, k), at(p + 3 * stride, k))));
    }
  for (; j < n; ++j)
#pragma GCC unroll 8
    for (int k = 0; k < ways; ++k) v[k] = Op::join(v[k], at(x + j * stride, k));
#pragma GCC unroll 8
  for (int k = 0; k < ways; ++k) ways > 1 ? store(y + k * kLanes<T>, v[k]) : store_n(y, v[k], rest);
}

// y (width) = the n >= 1 rows of x, `stride` apart. width <= kStrip.
template <class T, class Op>
void columns(T* y, const T* x, int64_t n, int64_t stride, int64_t width) {
  if (n > kLeafRows) {
    const int64_t half = (n + 1) / 2;
    T other[kStrip];
    columns<T, Op>(y, x, half, stride, width);
    columns<T, Op>(other, x + half * stride, n - half, stride, width);
    join_row<T, typename Op::Rest>(y, other, width);
    return;
  }
  constexpr int kDown = 8;
  int64_t i = 0;
  for (; i + kDown * kLanes<T> <= width; i += kDown * kLanes<T>)
    down<T, Op, kDown>(y + i, x + i, n, stride, kLanes<T>);
  for (; i < width; i += kLanes<T>)
    down<T, Op, 1>(y + i, x + i, n, stride, static_cast<int>(min_of(width - i, kLanes<T>)));
}

// y (width) = the n >= 1 rows of x, `inner` apart; y and x begin at the same column.
template <class T, class Op>
void piece(T* y, const T* x, int64_t n, int64_t inner, int64_t width) {
  if (inner == 1) {
    *y = Op::lanes(row<T, Op>(x, n));
    return;
  }
  // Short rows: a power of two of them, as many as fill a strip, count as one, and the strip is
  // folded in halves at the end.
  int64_t together = 1;
  while (2 * together * inner <= kStrip && 2 * together <= n) together *= 2;
  if (together < 2 || (n < 2 * together && inner >= kLanes<T>)) {
    columns<T, Op>(y, x, n, inner, width);
    return;
  }
  T strip[kStrip];
  const int64_t whole = n / together, size = together * inner;
  columns<T, Op>(strip, x, whole, size, size);
  join_row<T, Op>(strip, x + whole * size, n * inner - whole * size);
  for (int64_t half = size / 2; half >= inner; half /= 2)
    join_row<T, typename Op::Rest>(strip, strip + half, half);
  std::memcpy(y, strip, inner * sizeof(T));
}

// y (outer, inner) = the join of x (outer, n, inner) over n. Long axes are cut into pieces, each
// piece reduced for itself and the pieces' results then in the same way.
template <class T, class Op>
void reduce(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  if (outer == 0 || inner == 0) return;
  if (n == 0) {
    for (int64_t i = 0; i < outer * inner; ++i) y[i] = Op::start;
    return;
  }
  const int64_t width = min_of(inner, kStrip), strips = (inner + width - 1) / width;
  int64_t rows = max_of(kChunk / width, 1), pieces = (n + rows - 1) / rows;
  T* partial = y;
  if (pieces > 1) {
    partial = static_cast<T*>(allocate(outer * pieces * inner * sizeof(T)));
    if (partial == nullptr) {
      partial = y;
      pieces = 1;
      rows = n;
    }
  }
  const int64_t tasks = outer * pieces * strips;
  const bool together = inner == 1 && pieces == 1;
  int64_t grain = max_of(kChunk / (min_of(rows, n) * width), 1);
  if (together && grain > kLanes<T>) grain -= grain % kLanes<T>;
  for_ranges(tasks, grain, [&](int64_t begin, int64_t end) {
    int64_t task = begin;
    if (together)
      for (; task + kLanes<T> <= end; task += kLanes<T>)
        rows_together<T, Op>(y + task, x + task * n, n);
    for (; task < end; ++task) {
      const int64_t column = task % strips * width, p = task / strips % pieces,
                    o = task / strips / pieces;
      piece<T, Op>(partial + (o * pieces + p) * inner + column,
                   x + (o * n + p * rows) * inner + column, min_of(rows, n - p * rows), inner,
                   min_of(width, inner - column));
    }
  });
  if (pieces > 1) {
    reduce<T, typename Op::Rest>(y, partial, outer, pieces, inner);
    release(partial);
  }
}

// y_oi = sum_j x_oji
template <class T>
void sum_axis(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  reduce<T, Sum<T>>(y, x, outer, n, inner);
}

// total = the sum of how much each x_i - y_i counts
template <class T>
void total_error(T* total, const T* x, const T* y, const Measure& m, int64_t n) {
  const int64_t pieces = max_of((n + kChunk - 1) / kChunk, 1);
  T* const partial = pieces > 1 ? static_cast<T*>(scratch(pieces * sizeof(T))) : total;
  for_chunks(pieces, [&](int64_t p) {
    const auto take = [x, y, e = ErrorOf<T>(m)](int64_t i, int count) {
      const Vec<T> d = count == kLanes<T> ? load(x + i) - load(y + i)
                                          : load_n(x + i, count) - load_n(y + i, count);
      return e.of(d);  // of 0, where nothing is left, 0
    };
    const int64_t begin = p * kChunk;
    partial[p] = sum<T>(row_of<T, Sum<T>>(begin, min_of(kChunk, n - begin), take));
  });
  if (pieces == 1) return;
  *total = sum<T>(row<T, Sum<T>>(partial, pieces));
  release(partial);
}

// y_i = sum_j a_ij b_ij, a row's sum by one thread
template <class T>
void row_dots(T* y, const T* a, const T* b, int64_t rows, int64_t n) {
  for_ranges(rows, max_of(kChunk / max_of(n, 1), 1), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto take = [x = a + i * n, w = b + i * n](int64_t j, int count) {
        return count == kLanes<T> ? load(x + j) * load(w + j)
                                  : load_n(x + j, count) * load_n(w + j, count);
      };
      y[i] = sum<T>(row_of<T, Sum<T>>(0, n, take));
    }
  });
}

// y_oi = sum_j x_oji^2
template <class T>
void sum_squares(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  reduce<T, Squares<T>>(y, x, outer, n, inner);
}

// y_oi = prod_j x_oji
template <class T>
void prod(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  reduce<T, Product<T>>(y, x, outer, n, inner);
}

// y_oi = max_j x_oji; NaN wins
template <class T>
void amax(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  reduce<T, Max<T>>(y, x, outer, n, inner);
}

// y_oi = min_j x_oji; NaN wins
template <class T>
void amin(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  reduce<T, Min<T>>(y, x, outer, n, inner);
}

template <class T>
inline bool same(T a, T b) {
  return a == b || (a != a && b != b);
}

template <class T>
inline int64_t first_in_row(const T* x, T value, int64_t n) {
  constexpr int64_t kStep = 4 * kLanes<T>;
  int64_t i = 0;
  for (; i + kStep <= n; i += kStep) {  // whole steps without the value are passed over
    int found = 0;
    for (int64_t k = 0; k < kStep; ++k) found |= same(x[i + k], value);
    if (found) break;
  }
  while (i < n && !same(x[i], value)) ++i;
  return i;
}

// index[i] = the first j with x_ij = value[i], for kLanes rows of at most kWays vectors: in each
// lane the least of its places, as numbers of T, and then the least of the lanes.
template <class T>
void first_together(int64_t* index, const T* x, const T* value, int64_t n) {
  constexpr int L = kLanes<T>;
  T lane[L];
  for (int i = 0; i < L; ++i) lane[i] = static_cast<T>(i);
  const Vec<T> lanes = load(lane), none = splat<T>(static_cast<T>(n));
  Vec<T> v[L];
  for (int k = 0; k < L; ++k) {
    const Vec<T> wanted = splat<T>(value[k]);
    v[k] = none;
    for (int64_t j = 0; j < n; j += L) {  // what is filled up comes after all that is there
      const Vec<T> here = load_n(x + k * n + j, static_cast<int>(min_of(L, n - j)));
      const Mask<T> found = (here == wanted) | ((here != here) & (wanted != wanted));
      v[k] = minimum<T>(v[k], select<T>(found, lanes + static_cast<T>(j), none));
    }
  }
  const Vec<T> first = lanes_of<T, Min<T>>(v);
  for (int i = 0; i < L; ++i) index[i] = static_cast<int64_t>(first[i]);
}

// index_oi = the first j with x_oji = value_oi, where NaN equals NaN: after amax it makes argmax
template <class T>
void first_equal(int64_t* index, const T* x, const T* value, int64_t outer, int64_t n,
                 int64_t inner) {
  if (outer == 0 || inner == 0) return;
  const int64_t width = min_of(inner, kStrip), strips = (inner + width - 1) / width;
  for_ranges(
      outer * strips, max_of(kChunk / max_of(n * width, 1), 1), [&](int64_t begin, int64_t end) {
        int64_t task = begin;
        if (inner == 1 && n < kWays * kLanes<T>)
          for (; task + kLanes<T> <= end; task += kLanes<T>)
            first_together<T>(index + task, x + task * n, value + task, n);
        for (; task < end; ++task) {
          const int64_t column = task % strips * width, o = task / strips,
                        last = min_of(column + width, inner);
          if (inner == 1) {
            index[o] = first_in_row(x + o * n, value[o], n);
            continue;
          }
          for (int64_t j = n - 1; j >= 0; --j)  // backwards, so that the first one is written last
            for (int64_t i = column; i < last; ++i)
              if (same(x[(o * n + j) * inner + i], value[o * inner + i])) index[o * inner + i] = j;
        }
      });
}

// y_oi = the largest (or the least) x_oji, and index_oi = the first such j; NaN counts as such.
// Columns go side by side in registers; where there are few, several rows count as one.
template <class T>
void extreme(T* y, int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner,
             bool least) {
  if (inner == 1) {
    (least ? amin<T> : amax<T>)(y, x, outer, n, inner);
    first_equal<T>(index, x, y, outer, n, inner);
    return;
  }
  constexpr int kVectors = 4;
  constexpr int64_t kWidth = kVectors * kLanes<T>;
  const int64_t strips = (inner + kWidth - 1) / kWidth,
                together = max_of(min_of(kWidth / inner, n), 1);
  const auto better = [least](auto v, auto best) {
    return (least ? v < best : v > best) | ((v != v) & (best == best));
  };
  const int64_t rows = max_of(kChunk / min_of(inner, kWidth), together),
                pieces = (n + rows - 1) / rows, size = outer * pieces * inner;
  T* const values = pieces > 1 ? static_cast<T*>(scratch(size * sizeof(T))) : y;
  int64_t* const places =
      pieces > 1 ? static_cast<int64_t*>(scratch(size * sizeof(int64_t))) : index;
  const auto strip = [&](int64_t task) {
    const int64_t column = task % strips * kWidth, p = task / strips % pieces,
                  o = task / strips / pieces, count = min_of(rows, n - p * rows);
    const int64_t group = min_of(together, count), width = min_of(inner - column, kWidth) * group;
    const int64_t whole = count / group, rest = (count - whole * group) * inner;
    const T* from = x + (o * n + p * rows) * inner + column;
    Vec<T> best[kVectors];
    Mask<T> at[kVectors] = {};
    const auto lanes = [](int64_t width, int k) {
      return static_cast<int>(max_of(min_of(width - k * kLanes<T>, kLanes<T>), 0));
    };
    for (int k = 0; k < kVectors; ++k) best[k] = load_n(from + k * kLanes<T>, lanes(width, k));
    const T worst = least ? Min<T>::start : Max<T>::start;
    int64_t left = width;
    for (int64_t j = 1; j < whole + (rest > 0); ++j) {
      from += group * inner;
      if (j == whole) left = rest;
      for (int k = 0; k < kVectors; ++k) {
        const Vec<T> v = load_n(from + k * kLanes<T>, lanes(left, k), worst);
        const Mask<T> now = better(v, best[k]);
        best[k] = select<T>(now, v, best[k]);
        at[k] = now ? Mask<T>{} + static_cast<int32_t>(j) : at[k];
      }
    }
    T top[kWidth];
    decltype(Mask<T>{}[0] + 0) row[kWidth];
    std::memcpy(top, best, sizeof best);
    std::memcpy(row, at, sizeof at);
    const int64_t to = (o * pieces + p) * inner + column, columns = width / group;
    for (int64_t i = 0; i < columns; ++i) {
      T value = top[i];
      int64_t place = row[i] * group;
      for (int64_t c = 1; c < group; ++c) {
        const T other = top[c * columns + i];
        const int64_t where = row[c * columns + i] * group + c;
        if (better(other, value) || (same(other, value) && where < place)) {
          value = other;
          place = where;
        }
      }
      values[to + i] = value;
      places[to + i] = p * rows + place;
    }
  };
  for_ranges(outer * pieces * strips, max_of(kChunk / (min_of(n, rows) * min_of(inner, kWidth)), 1),
             [&](int64_t begin, int64_t end) {
               for (int64_t task = begin; task < end; ++task) strip(task);
             });
  if (pieces == 1) return;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      int64_t best = o * pieces * inner + i;
      for (int64_t p = 1; p < pieces; ++p) {
        const int64_t other = (o * pieces + p) * inner + i;
        if (better(values[other], values[best])) best = other;
      }
      y[o * inner + i] = values[best];
      index[o * inner + i] = places[best];
    }
  release(values);
  release(places);
}

// --- of bools and of integers

// The sum of n neighbours, which the compiler makes vectors of.
template <class V>
inline uint64_t total_row(const V* x, int64_t n) {
  uint64_t total = 0;
  for (int64_t j = 0; j < n; ++j) total += static_cast<uint64_t>(x[j]);
  return total;
}
// Of bools, each 0 or 1, as many as fit go into sums of a byte first.
inline uint64_t total_row(const bool* bools, int64_t n) {
  const uint8_t* const x = reinterpret_cast<const uint8_t*>(bools);
  constexpr int64_t kBytes = 64, kMost = 255;
  uint64_t total = 0;
  int64_t j = 0;
  while (j + kBytes <= n) {
    uint8_t part[kBytes] = {};
    for (int64_t k = 0; k < kMost && j + kBytes <= n; ++k, j += kBytes)
      for (int64_t i = 0; i < kBytes; ++i) part[i] += x[j + i];
    for (const uint8_t s : part) total += s;
  }
  for (; j < n; ++j) total += x[j];
  return total;
}

// The sums of n rows, `step` apart: of a few vectors of columns at a time, which stay in registers.
template <class V>
void total_columns(uint64_t* y, const V* x, int64_t n, int64_t step, int64_t columns) {
  constexpr int kSide = 4, kCount = kLanes<double>;
  typedef uint64_t Totals __attribute__((vector_size(kVectorBytes)));
  typedef V Some __attribute__((vector_size(kCount * sizeof(V))));
  int64_t i = 0;
  for (; i + kSide * kCount <= columns; i += kSide * kCount) {
    Totals total[kSide] = {};
    for (int64_t j = 0; j < n; ++j)
      for (int s = 0; s < kSide; ++s) {
        Some some;
        std::memcpy(&some, x + j * step + i + s * kCount, sizeof some);
        total[s] += __builtin_convertvector(some, Totals);
      }
    std::memcpy(y + i, total, sizeof total);
  }
  for (; i < columns; ++i) {
    y[i] = 0;
    for (int64_t j = 0; j < n; ++j) y[i] += static_cast<uint64_t>(x[j * step + i]);
  }
}

// The largest; with all bits turned, which turns the order, the least; with the first bit turned
// too, as if it were no sign.
template <class V>
struct Extreme {
  typedef V Some __attribute__((vector_size(kVectorBytes)));
  static constexpr int kCount = kVectorBytes / sizeof(V);
  V turn;

  Some at(const V* x) const {
    Some v;
    std::memcpy(&v, x, sizeof v);
    return v ^ turn;
  }
  V at(const V* x, int64_t j) const { return static_cast<V>(x[j] ^ turn); }
  static Some larger(Some a, Some b) { return a > b ? a : b; }

  // Of n neighbours, the last ones of which may be looked at twice.
  V row(const V* x, int64_t n) const {
    V best = at(x, 0);
    if (n < kCount) {
      for (int64_t j = 1; j < n; ++j) best = at(x, j) > best ? at(x, j) : best;
      return best ^ turn;
    }
    Some way[4] = {at(x), at(x), at(x), at(x + n - kCount)};
    int64_t j = 0;
    for (; j + 4 * kCount <= n; j += 4 * kCount)
      for (int k = 0; k < 4; ++k) way[k] = larger(way[k], at(x + j + k * kCount));
    for (; j + kCount <= n; j += kCount) way[0] = larger(way[0], at(x + j));
    const Some all = larger(larger(way[0], way[1]), larger(way[2], way[3]));
    return fold<V, kCount>(all, [](auto a, auto b) { return a > b ? a : b; }) ^ turn;
  }
  // y_i = the largest of y_i, x_i and other_i
  void join(V* y, const V* x, const V* other, int64_t n) const {
    const auto some = [&](int64_t i) {
      const Some v = larger(at(y + i), larger(at(x + i), at(other + i))) ^ turn;
      std::memcpy(y + i, &v, sizeof v);
    };
    int64_t i = 0;
    for (; i + kCount <= n; i += kCount) some(i);
    if (i < n && n >= kCount) return some(n - kCount);
    for (; i < n; ++i) {
      if (at(x, i) > at(y, i)) y[i] = x[i];
      if (at(other, i) > at(y, i)) y[i] = other[i];
    }
  }
};

// What is made of n rows of `columns` elements from x on, `step` apart, which is 1 for one column.
using JoinRows = void (*)(void* y, const void* x, int64_t n, int64_t step, int64_t columns,
                          int64_t turn);
template <class V, class Number = V>
void total_rows(void* y, const void* x, int64_t n, int64_t step, int64_t columns, int64_t) {
  uint64_t* const to = static_cast<uint64_t*>(y);
  if (step == 1)
    *to = total_row(static_cast<const V*>(x), n);
  else
    total_columns(to, static_cast<const Number*>(x), n, step, columns);
}
template <class V>
void extreme_rows(void* y, const void* x, int64_t n, int64_t step, int64_t columns, int64_t turn) {
  const Extreme<V> extreme{static_cast<V>(turn)};
  V* const to = static_cast<V*>(y);
  const V* const from = static_cast<const V*>(x);
  if (step == 1) {
    *to = extreme.row(from, n);
    return;
  }
  std::memcpy(to, from, columns * sizeof(V));
  for (int64_t j = 1; j < n; j += 2)  // two at a time, the last one twice
    extreme.join(to, from + j * step, from + min_of(j + 1, n - 1) * step, columns);
}

// y_oi = the join of x_oji over j, of elements of `from` bytes to elements of `to`, and what that
// is to be joined by again.
void join_integers(char* y, const char* x, int64_t to, int64_t from, JoinRows join, JoinRows again,
                   int64_t outer, int64_t n, int64_t inner, int64_t turn) {
  const int64_t width = min_of(inner, kStrip), strips = (inner + width - 1) / width;
  const int64_t rows = max_of(kChunk / width, 1), pieces = max_of((n + rows - 1) / rows, 1);
  const int64_t most = max_of(min_of(rows, n), 1);
  char* const partial = pieces > 1 ? static_cast<char*>(scratch(outer * pieces * inner * to)) : y;
  for_ranges(outer * pieces * strips, max_of(kChunk / (most * width), 1),
             [&](int64_t begin, int64_t end) {
               for (int64_t task = begin; task < end; ++task) {
                 const int64_t column = task % strips * width, p = task / strips % pieces,
                               o = task / strips / pieces;
                 join(partial + ((o * pieces + p) * inner + column) * to,
                      x + ((o * n + p * rows) * inner + column) * from, min_of(rows, n - p * rows),
                      inner, min_of(width, inner - column), turn);
               }
             });
  if (pieces == 1) return;
  join_integers(y, partial, to, to, again, again, outer, pieces, inner, turn);
  release(partial);
}

// y of int64 for sums, which wrap, else of x's type
template <class T>
void reduce_integers(void* y, const void* x, Element type, Join how, int64_t outer, int64_t n,
                     int64_t inner) {
  if (outer == 0 || inner == 0) return;
  struct Way {
    int64_t size;
    JoinRows total, extreme;
  };
  static constexpr Way ways[] = {{1, total_rows<bool, uint8_t>, extreme_rows<int8_t>},
                                 {1, total_rows<uint8_t>, extreme_rows<int8_t>},
                                 {1, total_rows<int8_t>, extreme_rows<int8_t>},
                                 {2, total_rows<int16_t>, extreme_rows<int16_t>},
                                 {4, total_rows<int32_t>, extreme_rows<int32_t>},
                                 {8, total_rows<int64_t>, extreme_rows<int64_t>}};
  const Way way = ways[type];
  const int64_t turn = (how == kLeast ? -1 : 0) ^ (type <= kByte ? 0x80 : 0);  // as int8 if less
  char* const to = static_cast<char*>(y);
  const char* const from = static_cast<const char*>(x);
  if (how == kSum)
    join_integers(to, from, 8, way.size, way.total, ways[kInt64].total, outer, n, inner, 0);
  else
    join_integers(to, from, way.size, way.size, way.extreme, way.extreme, outer, n, inner, turn);
}

}  // namespace

MT_KERNEL(sum_squares, sum_squares)
MT_KERNEL(extreme, extreme)
MT_KERNEL(sum, sum_axis)
MT_KERNEL(total_error, total_error)
MT_KERNEL(row_dots, row_dots)
MT_KERNEL(prod, prod)
MT_KERNEL(amax, amax)
MT_KERNEL(amin, amin)
MT_KERNEL(first_equal, first_equal)
MT_KERNEL(reduce_integers, reduce_integers)

}  // namespace mt::MT_ISA
