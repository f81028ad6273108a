// Attention without the matrix of scores: y = softmax(scale q k^T + mask) v for every head, with
// q (l, e), k (s, e), v (s, v), and the backward, which makes the weights again from q, k and the
// logarithm of each row's sum. Scores exist for a few rows of queries and a block of keys at a
// time.
#include <cmath>

#include "../functions.h"
#include "../kernels.h"
#include "gemm.h"

namespace mt::MT_ISA {
namespace {

using Sizes = AttentionSizes;

// Where an operand's matrix of one element of the batch begins.
template <class T>
inline Matrix<T> head(const Sizes& s, Sizes::Operand operand, T* p, int64_t index) {
  if (p == nullptr) return {p, 0, 0};
  for (int d = s.ndim - 1; d >= 0; --d) {
    p += index % s.size[d] * s.batch[operand][d];
    index /= s.size[d];
  }
  return {p, s.row[operand], operand == Sizes::kMask ? s.mask_col : 1};
}

// How many keys query i sees.
inline int64_t seen(const Sizes& s, int64_t i) { return s.causal ? min(s.s, i + 1) : s.s; }

// y_i = sum_j p_ij v_j / sum_j p_ij,  p_ij = exp(x_ij - m_i),  x = scale q k^T + mask,
// m_i = max_j x_ij,  lse_i = m_i + log sum_j p_ij.  A query that sees nothing gets 0, and lse
// infinite, with which the backward finds its weights to be 0.
template <class T>
void naive(T* y0, T* lse, const T* q0, const T* k0, const T* v0, const T* mask0, const Sizes& s) {
  Scratch<T> p(s.s);
  for (int64_t index = 0; index < s.count; ++index) {
    const auto q = head(s, Sizes::kQ, q0, index), k = head(s, Sizes::kK, k0, index);
    const auto v = head(s, Sizes::kV, v0, index), mask = head(s, Sizes::kMask, mask0, index);
    const auto y = head(s, Sizes::kY, y0, index);
    for (int64_t i = 0; i < s.l; ++i) {
      const int64_t keys = seen(s, i);
      T m = -INFINITY, total = 0;
      for (int64_t j = 0; j < keys; ++j) {
        T x = 0;
        for (int64_t c = 0; c < s.e; ++c) x += *q.at(i, c).p * *k.at(j, c).p;
        p.p[j] = x * static_cast<T>(s.scale) + (mask.p ? *mask.at(i, j).p : 0);
        if (p.p[j] > m || p.p[j] != p.p[j]) m = p.p[j];
      }
      const bool alone = m == -INFINITY;
      for (int64_t j = 0; j < keys; ++j) total += p.p[j] = alone ? 0 : scalar_exp(p.p[j] - m);
      for (int64_t c = 0; c < s.v; ++c) {
        T sum = 0;
        for (int64_t j = 0; j < keys; ++j) sum += p.p[j] * *v.at(j, c).p;
        *y.at(i, c).p = alone ? 0 : sum / total;
      }
      lse[index * s.l + i] = alone ? INFINITY : m + scalar_log(total);
    }
  }
}

// The same for a block of keys at a time, which then is in the cache for all queries. A row's
// maximum so far may turn out too small: what was summed with it is then scaled down.
template <class T>
void blocked(T* y0, T* lse, const T* q0, const T* k0, const T* v0, const T* mask0, const Sizes& s) {
  constexpr int64_t kBlock = 64;
  Scratch<T> best(s.l), total(s.l);
  for (int64_t index = 0; index < s.count; ++index) {
    const auto q = head(s, Sizes::kQ, q0, index), k = head(s, Sizes::kK, k0, index);
    const auto v = head(s, Sizes::kV, v0, index), mask = head(s, Sizes::kMask, mask0, index);
    const auto y = head(s, Sizes::kY, y0, index);
    for (int64_t i = 0; i < s.l; ++i) {
      best.p[i] = -INFINITY, total.p[i] = 0;
      for (int64_t c = 0; c < s.v; ++c) *y.at(i, c).p = 0;
    }
    for (int64_t first = 0; first < s.s; first += kBlock)
      for (int64_t i = 0; i < s.l; ++i) {
        const int64_t keys = min(kBlock, seen(s, i) - first);
        T p[kBlock], m = best.p[i];
        for (int64_t j = 0; j < keys; ++j) {
          T x = 0;
          for (int64_t c = 0; c < s.e; ++c) x += *q.at(i, c).p * *k.at(first + j, c).p;
          p[j] = x * static_cast<T>(s.scale) + (mask.p ? *mask.at(i, first + j).p : 0);
          if (p[j] > m || p[j] != p[j]) m = p[j];
        }
        if (m == -INFINITY) continue;
        const T shrink = scalar_exp(best.p[i] - m);
        best.p[i] = m;
        total.p[i] *= shrink;
        for (int64_t c = 0; c < s.v; ++c) *y.at(i, c).p *= shrink;
        for (int64_t j = 0; j < keys; ++j) {
          const T weight = scalar_exp(p[j] - m);
          total.p[i] += weight;
          for (int64_t c = 0; c < s.v; ++c) *y.at(i, c).p += weight * *v.at(first + j, c).p;
        }
      }
    for (int64_t i = 0; i < s.l; ++i) {
      const bool alone = best.p[i] == -INFINITY;
      for (int64_t c = 0; c < s.v && !alone; ++c) *y.at(i, c).p /= total.p[i];
      lse[index * s.l + i] = alone ? INFINITY : best.p[i] + scalar_log(total.p[i]);
    }
  }
}

// --- on tiles

constexpr int64_t kKeys = 256;  // of a block: the scores of a tile's rows stay in the L1 cache
constexpr int64_t kRow = kKeys + 16;  // from one row of scores to the next: not a power of two
constexpr int64_t kQueries = 128;     // of a block of the backward
constexpr int64_t kLeastRows = 64;    // of queries, for a chunk that packs its keys for itself

// A tile's rows of scores.
template <class T>
struct Scores {
  const T* p;
  T operator()(int i, int64_t k) const { return p[i * kRow + k]; }
};

// c (h, n) = a (h, depth) b (depth, n) + d, b a panel of two vectors.
template <class T, class A>
__attribute__((noinline)) void product(int h, int n, int64_t depth, A a, const T* b, Matrix<T> c,
                                       Matrix<const T> d) {
  tile_for<T, A>(n, h)(depth, a, {b, kTileCols<T>}, n, c, d);
}

template <class T>
inline Matrix<const T> constant(Matrix<T> x) {
  return {x.p, x.row, x.col};
}

// Whether no element is infinite or NaN: a weight of 0 then hides whatever it is multiplied by.
template <class T>
bool finite(Matrix<const T> x, int64_t rows, int64_t width) {
  constexpr int L = kLanes<T>, kSums = 4;
  Vec<T> zero[kSums] = {};
  for (int64_t i = 0; i < rows; i += kSums)
    for (int r = 0; r < min(kSums, rows - i); ++r) {
      const T* row = x.at(i + r, 0).p;
      int64_t j = 0;
      for (; j + L <= width; j += L) zero[r] += load(row + j) * T(0);
      if (j < width) zero[r] += load_n(row + j, width - j) * T(0);
    }
  return sum<T>((zero[0] + zero[1]) + (zero[2] + zero[3])) == 0;
}

// Rows of a tile where some pairs of its queries and keys do not see each other: one, if values
// that must not be seen are not finite.
inline int64_t tile_rows(bool clean) { return clean ? kTileRows : 1; }

// Panels of x (n, width), one vector pair of rows each: x^T as the right side of a product.
template <class T>
void pack_rows(T* to, Matrix<const T> x, int64_t n, int64_t width) {
  constexpr int W = kTileCols<T>;
  for (int64_t i = 0; i < n; i += W) pack<W>(to + i * width, x.at(i, 0), min(W, n - i), width);
}

// Panels of x (n, width), one vector pair of columns each: x as the right side of a product.
template <class T>
void pack_cols(T* to, Matrix<const T> x, int64_t n, int64_t width) {
  constexpr int W = kTileCols<T>;
  for (int64_t j = 0; j < width; j += W)
    pack<W>(to + j * n, x.at(0, j).transposed(), min(W, width - j), n);
}
template <class T>
inline int64_t padded(int64_t width) {
  return ceil_div(width, kTileCols<T>) * kTileCols<T>;
}

// c (rows, width) += a (rows, depth) b, b the panels of pack_cols from row `first` of `n` on.
template <class T, class A>
inline void add_product(int rows, int64_t width, int64_t depth, A a, const T* b, int64_t first,
                        int64_t n, Matrix<T> c, bool add) {
  constexpr int W = kTileCols<T>;
  for (int64_t j = 0; j < width; j += W) {
    const Matrix<T> to = c.at(0, j);
    product<T>(rows, min(W, width - j), depth, a, b + j * n + first * W, to,
               add ? constant(to) : Matrix<const T>{});
  }
}

// The lanes' numbers.
template <class T>
inline Vec<T> numbers() {
  Vec<T> v{};
  for (int i = 0; i < kLanes<T>; ++i) v[i] = i;
  return v;
}

// x + mask, where there is one; j is its first key.
template <class T>
inline Vec<T> masked(Vec<T> x, Matrix<const T> mask, int64_t j, int64_t n) {
  if (!mask.p) return x;
  if (mask.col == 0) return x + *mask.p;
  return x + (n - j >= kLanes<T> ? load(mask.p + j) : load_n(mask.p + j, n - j));
}

// A row of scores becomes scale p + mask for n keys, -inf from there to `width`; returns the
// largest.
template <class T>
inline T scaled(T* p, int64_t n, int64_t width, T scale, Matrix<const T> mask) {
  constexpr int L = kLanes<T>;
  const Vec<T> low = splat<T>(-INFINITY), lane = numbers<T>();
  Vec<T> best = low;
  int64_t j = 0;
  for (; j + L <= n; j += L) {
    const Vec<T> x = masked<T>(load(p + j) * scale, mask, j, n);
    store(p + j, x);
    best = maximum<T>(best, x);
  }
  for (; j < width; j += L) {
    const Vec<T> x = masked<T>(load(p + j) * scale, mask, j, max(n, j));
    const Vec<T> y = select<T>(lane < static_cast<T>(n - j), x, low);
    store(p + j, y);
    best = maximum<T>(best, y);
  }
  return max<T>(best);
}

// e^x of a weight: 0 where it is below the least normal number, whose neighbours are slow.
template <class T>
inline Vec<T> weight(Vec<T> x) {
  const Vec<T> least = splat<T>(sizeof(T) == 4 ? -87 : -708), most = splat<T>(Format<T>::high);
  const Mask<T> none = x < least;
  x = select<T>(none, least, x);
  const Exponential<T> e(select<T>(x > most, most, x));
  return select<T>(none, Vec<T>{}, e.exact() * power_of_two<T>(e.whole));
}

// p = exp(p - m) of a row; returns the sum.
template <class T>
inline T exponentials(T* p, int64_t width, T m) {
  Vec<T> total{};
  for (int64_t j = 0; j < width; j += kLanes<T>) {
    const Vec<T> e = weight<T>(load(p + j) - m);
    total += e;
    store(p + j, e);
  }
  return sum<T>(total);
}

// What `some_queries` works in: got once for many heads, since all threads get it from one place.
template <class T>
struct QueryRoom {
  int64_t rows;  // of queries at most
  Scratch<T> keys_t, values, left, p, state;
  QueryRoom(const Sizes& s, int64_t rows)
      : rows(rows),
        keys_t(padded<T>(min(s.s, kKeys)) * s.e),
        values(min(s.s, kKeys) * padded<T>(s.v)),
        left(kPackRows<T> * s.e),
        p(kTileRows * kRow),
        state(2 * rows) {}
};

// The queries begin .. end of one head.
template <class T>
void some_queries(const Sizes& s, const QueryRoom<T>& room, Matrix<T> y, T* lse, Matrix<const T> q,
                  Matrix<const T> k, Matrix<const T> v, Matrix<const T> mask, int64_t begin,
                  int64_t end) {
  constexpr int W = kTileCols<T>;
  const int64_t keys = seen(s, end - 1);
  const int64_t tiles = ceil_div(end - begin, tile_rows(!s.causal || finite(v, keys, s.v)));
  const T scale = static_cast<T>(s.scale);
  const bool several = keys > kKeys;
  const Scratch<T>&keys_t = room.keys_t, &values = room.values, &left = room.left, &p = room.p;
  T *m = room.state.p, *total = room.state.p + room.rows;  // of each row so far
  for (int64_t i = 0; i < end - begin; ++i) m[i] = -INFINITY, total[i] = 0;
  for (int64_t first = 0; first < keys || first == 0; first += kKeys) {
    const int64_t count = min(kKeys, keys - first);
    pack_rows(keys_t.p, k.at(first, 0), count, s.e);
    pack_cols(values.p, v.at(first, 0), count, s.v);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t i0 = begin + cut(end - begin, tiles, t);
      const int64_t i1 = begin + cut(end - begin, tiles, t + 1);
      const int rows = i1 - i0;
      const int64_t depth = min(count, seen(s, i1 - 1) - first);
      if (depth <= 0 && first > 0) continue;
      pack<kPackRows<T>>(left.p, q.at(i0, 0), rows, s.e);
      for (int64_t j = 0; j < depth; j += W)
        product<T>(rows, W, s.e, ByColumn<T>{left.p, kPackRows<T>}, keys_t.p + j * s.e,
                   {p.p + j, kRow, 1}, {});
      T most[kTileRows];
      for (int i = 0; i < rows; ++i)
        most[i] = scaled<T>(p.p + i * kRow, max(0, min(depth, seen(s, i0 + i) - first)), depth,
                            scale, mask.at(i0 + i, first));
      for (int i = 0; i < rows; ++i) {
        const int64_t at = i0 + i - begin;
        const T before = m[at];
        if (most[i] > before || most[i] != most[i]) m[at] = most[i];
        const T sum = exponentials<T>(p.p + i * kRow, depth, m[at] == -INFINITY ? 0 : m[at]);
        if (first > 0 && m[at] != -INFINITY) {
          const T shrink = exp<T>(splat(before - m[at]))[0];
          total[at] *= shrink;
          for (int64_t c = 0; c < s.v; ++c) *y.at(i0 + i, c).p *= shrink;
        }
        total[at] += sum;
      }
      add_product<T>(rows, s.v, depth, Scores<T>{p.p}, values.p, 0, count, y.at(i0, 0), first > 0);
      if (several && first + kKeys < seen(s, i1 - 1)) continue;
      for (int i = 0; i < rows; ++i) {  // the last block that this tile sees
        const int64_t at = i0 + i - begin;
        const bool alone = m[at] == -INFINITY;
        const T inverse = alone ? 0 : 1 / total[at];
        T* row = y.at(i0 + i, 0).p;
        for (int64_t c = 0; c < s.v; ++c) row[c] = alone ? 0 : row[c] * inverse;
      }
    }
  }
  for (int64_t i = 0; i < end - begin; i += kLanes<T>) {
    const int lanes = min(kLanes<T>, end - begin - i);
    const Vec<T> top = load_n(m + i, lanes), whole = top + log<T>(load_n<T>(total + i, lanes, 1));
    store_n(lse + begin + i, select<T>(top == -INFINITY, splat<T>(INFINITY), whole), lanes);
  }
}

template <class T>
void attention(bool threads, T* y, T* lse, const T* q, const T* k, const T* v, const T* mask,
               const Sizes& s) {
  if (s.l == 0 || s.count == 0) return;
  const int64_t parts = max(1, min(s.l / kLeastRows, ceil_div(32, s.count)));
  const int64_t work = max(1, ceil_div(s.l, parts) * s.s * (s.e + s.v));
  const int64_t chunks = s.count * parts;
  for_ranges(chunks, threads ? ceil_div(kChunkWork, work) : chunks, [&](int64_t from, int64_t to) {
    const QueryRoom<T> room(s, ceil_div(s.l, parts));
    for (int64_t chunk = from; chunk < to; ++chunk) {
      const int64_t index = chunk / parts, part = parts - 1 - chunk % parts;  // the long ones first
      some_queries<T>(s, room, head(s, Sizes::kY, y, index), lse + index * s.l,
                      head(s, Sizes::kQ, q, index), head(s, Sizes::kK, k, index),
                      head(s, Sizes::kV, v, index), head(s, Sizes::kMask, mask, index),
                      cut(s.l, parts, part), cut(s.l, parts, part + 1));
    }
  });
}
template <class T>
void simd(T* y, T* lse, const T* q, const T* k, const T* v, const T* mask, const Sizes& s) {
  attention(false, y, lse, q, k, v, mask, s);
}
template <class T>
void fast(T* y, T* lse, const T* q, const T* k, const T* v, const T* mask, const Sizes& s) {
  attention(true, y, lse, q, k, v, mask, s);
}

// One row: p = exp(scale p + mask - lse), d = scale p (d - delta), for n keys; 0 from there to
// width.
template <class T>
void slope(T* p, T* d, int64_t n, int64_t width, T scale, Matrix<const T> mask, T lse, T delta) {
  constexpr int L = kLanes<T>;
  const Vec<T> lane = numbers<T>();
  const auto piece = [&](int64_t j, auto keep) {
    const Vec<T> e = keep(weight<T>(masked<T>(load(p + j) * scale, mask, j, max(n, j)) - lse));
    store(p + j, e);
    store(d + j, keep(e * (load(d + j) - delta) * scale));
  };
  int64_t j = 0;
  for (; j + L <= n; j += L) piece(j, [](Vec<T> x) { return x; });
  for (; j < width; j += L)
    piece(j, [&](Vec<T> x) { return select<T>(lane < static_cast<T>(n - j), x, Vec<T>{}); });
}

template <class T>
void clear(Matrix<T> x, int64_t rows, int64_t width) {
  constexpr int L = kLanes<T>;
  for (int64_t i = 0; i < rows; ++i) {
    T* row = x.at(i, 0).p;
    int64_t j = 0;
    for (; j + 2 * L <= width; j += 2 * L) store(row + j, Vec<T>{}), store(row + j + L, Vec<T>{});
    for (; j < width; j += L) store_n(row + j, Vec<T>{}, min(L, width - j));
  }
}

template <class T>
struct KeyRoom {
  Scratch<T> keys_t, keys, values_t, ups, asks, left, p, d;
  explicit KeyRoom(const Sizes& s) : KeyRoom(s, min(s.s, kKeys), min(s.l, kQueries)) {}
  KeyRoom(const Sizes& s, int64_t most, int64_t queries)
      : keys_t(padded<T>(most) * s.e),
        keys(most * padded<T>(s.e)),
        values_t(padded<T>(most) * s.v),
        ups(queries * padded<T>(s.v)),
        asks(queries * padded<T>(s.e)),
        left(kPackRows<T> * max(s.e, s.v)),
        p(queries * kRow),
        d(queries * kRow) {}
};

// forward was y = p v / sum p:  delta = <g, y> of each row,  p = exp(x - lse),
// dv = p^T g,  ds = scale p (g v^T - delta),  dq = ds k,  dk = ds^T q;  for the keys begin .. end
// of one head, whose part of dq is added.
template <class T>
void some_keys(const Sizes& s, const KeyRoom<T>& room, Matrix<T> dq, Matrix<T> dk, Matrix<T> dv,
               Matrix<const T> g, Matrix<const T> q, Matrix<const T> k, Matrix<const T> v,
               Matrix<const T> mask, const T* delta, const T* lse, int64_t begin, int64_t end) {
  constexpr int W = kTileCols<T>;
  const int64_t R = tile_rows(!s.causal || (finite(k.at(begin, 0), end - begin, s.e) &&
                                            finite(q, s.l, s.e) && finite(g, s.l, s.v)));
  const T scale = static_cast<T>(s.scale);
  const Scratch<T>&keys_t = room.keys_t, &keys = room.keys, &values_t = room.values_t;
  const Scratch<T>&ups = room.ups, &asks = room.asks, &left = room.left, &p = room.p, &d = room.d;
  if (begin == end) clear(dq, s.l, s.e);
  for (int64_t first = begin; first < end; first += kKeys) {
    const int64_t block = min(kKeys, end - first);
    int64_t done = 0;  // of its keys, which have a gradient already
    pack_rows(keys_t.p, k.at(first, 0), block, s.e);
    pack_cols(keys.p, k.at(first, 0), block, s.e);
    pack_rows(values_t.p, v.at(first, 0), block, s.v);
    for (int64_t q0 = 0; q0 < s.l; q0 += kQueries) {
      const int64_t q1 = min(s.l, q0 + kQueries), count = min(block, seen(s, q1 - 1) - first);
      if (count <= 0) {
        if (first == begin) clear(dq.at(q0, 0), q1 - q0, s.e);
        continue;
      }
      pack_cols(ups.p, g.at(q0, 0), q1 - q0, s.v);
      pack_cols(asks.p, q.at(q0, 0), q1 - q0, s.e);
      const int64_t tiles = ceil_div(q1 - q0, R);
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t i0 = q0 + cut(q1 - q0, tiles, t), i1 = q0 + cut(q1 - q0, tiles, t + 1);
        const int64_t depth = max(0, min(count, seen(s, i1 - 1) - first));
        T *pp = p.p + (i0 - q0) * kRow, *dd = d.p + (i0 - q0) * kRow;
        const ByColumn<T> packed{left.p, kPackRows<T>};
        pack<kPackRows<T>>(left.p, q.at(i0, 0), i1 - i0, s.e);
        for (int64_t j = 0; j < depth; j += W)
          product<T>(i1 - i0, W, s.e, packed, keys_t.p + j * s.e, {pp + j, kRow, 1}, {});
        pack<kPackRows<T>>(left.p, g.at(i0, 0), i1 - i0, s.v);
        for (int64_t j = 0; j < depth; j += W)
          product<T>(i1 - i0, W, s.v, packed, values_t.p + j * s.v, {dd + j, kRow, 1}, {});
        for (int64_t i = i0; i < i1; ++i) {
          const int64_t row = (i - i0) * kRow;
          const int64_t n = max(0, min(depth, seen(s, i) - first));
          // The slabs below that this row is part of end R keys further at most.
          slope<T>(pp + row, dd + row, n, min(count, n + R), scale, mask.at(i, first), lse[i],
                   delta[i]);
        }
        if (depth > 0 || first == begin)
          add_product<T>(i1 - i0, s.e, depth, Scores<T>{dd}, keys.p, 0, block, dq.at(i0, 0),
                         first > begin);
      }
      const auto add_keys = [&](int64_t low, int64_t high, bool add) {
        const int64_t slabs = ceil_div(high - low, R);
        for (int64_t t = 0; t < slabs; ++t) {
          const int64_t j0 = low + cut(high - low, slabs, t);
          const int64_t j1 = low + cut(high - low, slabs, t + 1);
          // The queries before the first of these keys do not see them.
          const int64_t from = s.causal ? max(0, first + j0 - q0) : 0, depth = q1 - q0 - from;
          const int64_t at = from * kRow + j0;
          add_product<T>(j1 - j0, s.v, depth, ByColumn<T>{p.p + at, kRow}, ups.p, from, q1 - q0,
                         dv.at(first + j0, 0), add);
          add_product<T>(j1 - j0, s.e, depth, ByColumn<T>{d.p + at, kRow}, asks.p, from, q1 - q0,
                         dk.at(first + j0, 0), add);
        }
      };
      add_keys(0, done, true);
      add_keys(done, count, false);
      done = count;
    }
    clear(dk.at(first + done, 0), block - done, s.e);
    clear(dv.at(first + done, 0), block - done, s.v);
  }
}

// Heads are shared out among the threads, and where they are few, parts of their keys: each part
// then has a dq of its own, which are added up at the end.
template <class T>
void vjp(T* dq, T* dk, T* dv, const T* g, const T* q, const T* k, const T* v, const T* mask,
         const T* y, const T* lse, const Sizes& s) {
  if (s.count == 0) return;
  const int64_t parts = max(1, min(s.s / 128, ceil_div(16, s.count)));
  const int64_t work = max(1, s.l * ceil_div(s.s, parts) * (s.e + s.v) * 2);
  const int64_t all = s.count * s.l, row_work = max(1, s.e + s.v);
  Scratch<T> delta(all), partial(parts > 1 ? parts * all * s.e : 0);
  for_ranges(all, ceil_div(kChunkWork / 16, row_work), [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; ++row) {
      const T* up = head(s, Sizes::kG, g, row / s.l).at(row % s.l, 0).p;
      const T* out = head(s, Sizes::kY, y, row / s.l).at(row % s.l, 0).p;
      constexpr int L = kLanes<T>;
      Vec<T> total{};
      for (int64_t c = 0; c < s.v; c += L) {
        const int lanes = min(L, s.v - c);
        total += lanes == L ? load(up + c) * load(out + c)
                            : load_n(up + c, lanes) * load_n(out + c, lanes);
      }
      delta.p[row] = sum<T>(total);
    }
  });
  for_ranges(s.count * parts, ceil_div(kChunkWork, work), [&](int64_t from, int64_t to) {
    const KeyRoom<T> room(s);
    for (int64_t chunk = from; chunk < to; ++chunk) {
      const int64_t index = chunk / parts, part = chunk % parts;
      Matrix<T> to_q = head(s, Sizes::kDq, dq, index);
      if (parts > 1) to_q = {partial.p + (part * all + index * s.l) * s.e, s.e, 1};
      some_keys<T>(s, room, to_q, head(s, Sizes::kDk, dk, index), head(s, Sizes::kDv, dv, index),
                   head(s, Sizes::kG, g, index), head(s, Sizes::kQ, q, index),
                   head(s, Sizes::kK, k, index), head(s, Sizes::kV, v, index),
                   head(s, Sizes::kMask, mask, index), delta.p + index * s.l, lse + index * s.l,
                   cut(s.s, parts, part), cut(s.s, parts, part + 1));
    }
  });
  if (parts > 1)
    for_ranges(all, ceil_div(kChunkWork / 16, row_work), [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to; ++row) {
        T* out = head(s, Sizes::kDq, dq, row / s.l).at(row % s.l, 0).p;
        for (int64_t c = 0; c < s.e; ++c) {
          T total = 0;
          for (int64_t part = 0; part < parts; ++part)
            total += partial.p[(part * all + row) * s.e + c];
          out[c] = total;
        }
      }
    });
}

}  // namespace

MT_RUNGS(attention, naive, blocked, simd, fast)
MT_KERNEL(attention_vjp, vjp)

}  // namespace mt::MT_ISA
