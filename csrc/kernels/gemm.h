// Matrix products out of one register tile, shared by matmul.cpp and conv.cpp.
//
//     c_ij = sum_k a_ik b_kj + d_ij
//
// The tile keeps kTileRows x 2 vectors of c in registers while k runs: each step loads a row of b
// (two vectors) and multiplies it by each a_ik in turn, so that a load feeds many multiplications.
// Everything around it arranges for its operands to be near: packed into slivers as wide as the
// tile, in blocks that fit the caches.
#pragma once

#include "../runtime/engine.h"
#include "../runtime/memory.h"
#include "../runtime/parallel.h"
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

// As many sums as the registers hold, beside a row of b (two vectors) and one broadcast of a; fewer
// where small comes before fast (-Os), since each height of the tile is a function.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRegisters = 32;
#elif defined(__OPTIMIZE_SIZE__)
constexpr int kRegisters = 12;
#else
constexpr int kRegisters = 16;
#endif
constexpr int kTileRows = (kRegisters - 1) / 2 - 1;  // 14, 6 or 4
constexpr int kTileSums = 2 * kTileRows;
template <class T>
constexpr int kTileCols = 2 * kLanes<T>;
template <class T>
constexpr int kLine = 64 / sizeof(T);  // of the caches
template <class T>
constexpr int kPackRows = (kTileRows + kLanes<T> - 1) / kLanes<T> * kLanes<T>;  // whole vectors

// With few rows the tile is wider, so that there are sums enough to hide an addition's latency.
constexpr int tile_vectors(int rows) {
  return rows == 1 || 8 * (rows + 1) < kRegisters ? 8 : 4 * (rows + 1) < kRegisters ? 4 : 2;
}

constexpr int64_t kDepth = 256;       // of k in one block: a sliver stays in the L1 cache
constexpr int64_t kShortDepth = 128;  // where b goes by a few times, in place
template <class T>
constexpr int64_t kBlockDepth = 2048 / sizeof(T);
#if defined(__AVX512F__)
constexpr int64_t kPanelBytes = 1 << 20;  // of b in one block, which stays in the L2 cache
#else
constexpr int64_t kPanelBytes = 1 << 18;
#endif
constexpr int64_t kFewRows = 128;         // of a
constexpr int64_t kFewDots = 12;          // rows or columns that fill no tile
constexpr int64_t kDotDepth = 64;         // of k for each group of them
constexpr int64_t kLong = 512;            // of k, which several threads share where c is small
constexpr int64_t kUses = 5;              // that are not worth a packed copy
constexpr int64_t kRowUses = 16;          // the same of rows, unless one cache set has them all
constexpr int64_t kShortRow = 1024;       // bytes of a row that is not fetched in advance
constexpr int64_t kWidest = 32;           // strips of b for one thread at a time
constexpr int64_t kTornRow = 1024;        // elements that are packed while two cores share a row
constexpr int64_t kSmallBytes = 1 << 19;  // of b, which need no copy for a few uses more
constexpr int64_t kSmallStrip = 64;       // rows of a strip that need no memory of the pool
constexpr int64_t kChunks = 16;           // enough to share among threads
constexpr int64_t kSmallWork = 1 << 17;   // multiplications in one sweep over the tiles, no plan
constexpr int64_t kChunkWork = 1 << 18;   // multiplications that are worth waking a thread for

inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How many of n items, of so much work each, a thread takes at a time, where results do not depend
// on it: enough to be worth waking it for, and as many for one thread as for another.
inline int64_t even_share(int64_t n, int64_t work, int64_t chunk_work = kChunkWork) {
  const int64_t chunks = ceil_div(n * work, chunk_work), threads = num_threads();
  return max(1, chunks <= 1 ? n : ceil_div(n, ceil_div(chunks, threads) * threads));
}

// n cut into `parts` as evenly as whole numbers allow: where part i begins.
inline int64_t cut(int64_t n, int64_t parts, int64_t i) { return n * i / parts; }

// Working memory for the time of a block.
template <class T>
struct Scratch {
  T* p;
  explicit Scratch(int64_t n) : p(n ? static_cast<T*>(scratch(n * sizeof(T))) : nullptr) {}
  ~Scratch() {
    if (p) release(p);
  }
  Scratch(const Scratch&) = delete;
};

// What reads and writes only the first n lanes, where a mask costs nothing; elsewhere all of them.
#if defined(__AVX512F__)
constexpr bool kMasks = true;
#else
constexpr bool kMasks = false;
#endif
template <class T>
inline Vec<T> load_part(const T* p, int n) {
  return kMasks ? load_n(p, n) : load(p);
}
template <class T>
inline void store_part(T* p, Vec<T> v, int n) {
  kMasks ? store_n(p, v, n) : store(p, v);
}

}  // namespace

// From here on nothing is a file's own: what several kernels are made of is in the library once.

template <int N>
struct Int {
  static constexpr int value = N;
  constexpr operator int() const { return N; }
};

// f(Int<n>) for an n that is only known at run time, 1 <= n <= N.
template <int N, class F>
inline void with(int n, const F& f) {
  if constexpr (N > 1) {
    if (n < N) return with<N - 1>(n, f);
  }
  f(Int<N>{});
}

// --- operands

template <class T>
struct Matrix {  // element (i, j) is p[i * row + j * col]
  T* p;
  int64_t row, col;
  Matrix at(int64_t i, int64_t j) const { return {p ? p + i * row + j * col : p, row, col}; }
  Matrix transposed() const { return {p, col, row}; }
};

// How the tile reads a: packed or lying transposed, or in rows a step apart, for which it makes
// pointers when it begins.
template <class T>
struct ByColumn {
  const T* p;
  int64_t step;
  T operator()(int i, int64_t k) const { return p[i + k * step]; }
};
template <class T>
struct EvenRows {
  const T* p;
  int64_t step;
};
template <class T, int H>
struct RowsOf {  // every third row has a pointer; the others are one or two steps further
  const T* p[(H + 2) / 3];
  int64_t step;
  explicit RowsOf(EvenRows<T> a) : step(a.step) {
#pragma GCC unroll 8
    for (int i = 0; i < H; i += 3) p[i / 3] = a.p + i * a.step;
  }
  T operator()(int i, int64_t k) const { return p[i / 3][k + i % 3 * step]; }
};

// What is left of an operand after k columns of a, or rows of b.
template <class T>
inline ByColumn<T> after(ByColumn<T> a, int64_t k) {
  return {a.p + k * a.step, a.step};
}
template <class T>
inline EvenRows<T> after(EvenRows<T> a, int64_t k) {
  return {a.p + k, a.step};
}

template <int H, class A>
inline A rows_of(A a) {
  return a;
}
template <int H, class T>
inline RowsOf<T, H> rows_of(EvenRows<T> a) {
  return RowsOf<T, H>(a);
}

// How it reads b: row k begins a step further, or where a table says. `next` is how far what is
// asked for lies beyond a row: the strip beside it or, where rows follow each other, a later one.
template <class T>
struct Steps {
  const T* p;
  int64_t step;
  const T* operator()(int64_t k) const { return p + k * step; }
  int64_t next() const { return (step == kTileCols<T> ? 8 : 1) * kTileCols<T>; }
};
template <class T>
struct Taps {
  const T* p;
  const int64_t* offset;
  const T* operator()(int64_t k) const { return p + offset[k]; }
  int64_t next() const { return kTileCols<T>; }
};

template <class T>
inline Steps<T> after(Steps<T> b, int64_t k) {
  return {b.p + k * b.step, b.step};
}

// --- a square of vectors

// The first, or the second, halves of a and b interleaved: a0 b0 a1 b1 ...
template <class T>
inline Vec<T> interleave(Vec<T> a, Vec<T> b, int from) {
  constexpr int L = kLanes<T>;
#if defined(__clang__)
  Vec<T> v;
  for (int i = 0; i < L; ++i) v[i] = i % 2 ? b[from + i / 2] : a[from + i / 2];
  return v;
#else
  Mask<T> index;
  for (int i = 0; i < L; ++i) index[i] = from + i / 2 + i % 2 * L;
  return __builtin_shuffle(a, b, index);
#endif
}

// x_ij <-> x_ji of a square of vectors: each round interleaves row i with row i + L/2, which moves
// one bit of the row number into the column number; after log2(L) rounds they have changed places.
template <class T>
inline __attribute__((always_inline)) void transpose(Vec<T> (&x)[kLanes<T>]) {
  constexpr int L = kLanes<T>;
  Vec<T> y[L];
#pragma GCC unroll 4
  for (int round = 1; round < L; round *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < L / 2; ++i) {
      y[2 * i] = interleave<T>(x[i], x[i + L / 2], 0);
      y[2 * i + 1] = interleave<T>(x[i], x[i + L / 2], L / 2);
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) x[i] = y[i];
  }
}

// --- the tile

// The sums of a tile that is not whole, or of columns that do not lie side by side; a vector is
// read whole, beyond the last sum too.
//
// Takes numbers, not matrices: a matrix that was just written to the stack in parts and is read as
// a vector waits until every store before it is done, and those to c may wait for memory.
template <class T>
__attribute__((noinline)) void finish(const T* sum, int64_t width, int64_t rows, int64_t n, T* c_p,
                                      int64_t c_row, int64_t c_col, const T* d_p, int64_t d_row,
                                      int64_t d_col) {
  constexpr int L = kLanes<T>;
  const Matrix<T> c{c_p, c_row, c_col};
  const Matrix<const T> d{d_p, d_row, d_col};
  if (c.col == 1) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < n; j += L) {
        const int lanes = min(L, n - j);
        T* out = c.p + i * c.row + j;
        const T* more = d.p + i * d.row + j * d.col;
        Vec<T> x = load(sum + i * width + j);
        if (d.p) x += d.col == 0 ? splat(*more) : lanes == L ? load(more) : load_n(more, lanes);
        lanes == L ? store(out, x) : store_n(out, x, lanes);
      }
  } else if (c.row == 1 && (!d.p || d.row <= 1)) {
    for (int64_t i = 0; i < rows; i += L)
      for (int64_t j = 0; j < n; j += L) {
        const int high = min(L, rows - i), wide = min(L, n - j);
        Vec<T> x[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) x[r] = r < high ? load(sum + (i + r) * width + j) : Vec<T>{};
        transpose<T>(x);
        T column[L * L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) store(column + r * L, x[r]);
        for (int r = 0; r < wide; ++r) {
          const T* more = d.p + i * d.row + (j + r) * d.col;
          Vec<T> y = load(column + r * L);
          if (d.p) y += d.row == 0 ? splat(*more) : load_n(more, high);
          store_n(c.p + i + (j + r) * c.col, y, high);
        }
      }
  } else {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < n; ++j)
        *c.at(i, j).p = sum[i * width + j] + (d.p ? *d.at(i, j).p : 0);
  }
}

// sum (H, NV vectors) += a (H, depth) b (depth, NV vectors), of the last of which so many columns
// are there.
template <int H, int NV, class T, class V, class A, class B>
inline __attribute__((always_inline)) void accumulate(V (&sum)[H][NV], int64_t depth, A a, B b,
                                                      int last = kLanes<T>) {
  constexpr int L = kLanes<T>;
  const int64_t next = b.next();
  const auto step = [&](int64_t k) __attribute__((always_inline)) {
    const T* row = b(k);
    if constexpr (NV <= 2) {
#pragma GCC unroll 2
      for (int j = 0; j < NV * L; j += kLine<T>) __builtin_prefetch(row + next + j);
    }
    Vec<T> v[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV - 1; ++j) v[j] = load(row + j * L);
    v[NV - 1] = load_part(row + (NV - 1) * L, last);
#pragma GCC unroll 14
    for (int i = 0; i < H; ++i) {
      const Vec<T> s = splat(a(i, k));
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[i][j] += s * v[j];
    }
  };
  if constexpr (H * NV >= 16) {
    for (int64_t k = 0; k < depth; ++k) step(k);
  } else {  // so few that the loop itself would be felt
#pragma GCC unroll 2
    for (int64_t k = 0; k < depth; ++k) step(k);
  }
}

// c (H, NV vectors) = a (H, depth) b (depth, NV vectors) + d, whose rows and columns are steps of
// d_row and d_col (1 or 0) where d is not null. Of the last vector so many columns are there, all
// of them where there are no masks.
//
// A function of its own, so that the registers are its alone; what it takes fits into registers.
// Never copied for what a file passes to it: all files share one.
template <int H, int NV, class T, class A, class B>
__attribute__((noinline, noclone)) void whole_tile(int64_t depth, A a, B b, T* c, int64_t c_row,
                                                   const T* d, int64_t d_row, int64_t d_col,
                                                   int last = kLanes<T>) {
  constexpr int L = kLanes<T>;
  if (depth >= 128) {  // c will be needed, and is not at hand
#pragma GCC unroll 14
    for (int i = 0; i < H; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) __builtin_prefetch(c + i * c_row + j * L, 1);
    }
  }
  Vec<T> sum[H][NV] = {};
  accumulate<H, NV, T>(sum, depth, rows_of<H>(a), b, last);
  if (d && d_col) {
#pragma GCC unroll 14
    for (int i = 0; i < H; ++i, d += d_row) {
#pragma GCC unroll 8
      for (int j = 0; j < NV - 1; ++j) sum[i][j] += load(d + j * L);
      sum[i][NV - 1] += load_part(d + (NV - 1) * L, last);
    }
  } else if (d) {
#pragma GCC unroll 14
    for (int i = 0; i < H; ++i, d += d_row) {
      const Vec<T> more = splat(*d);
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[i][j] += more;
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < H; ++i, c += c_row) {
#pragma GCC unroll 8
    for (int j = 0; j < NV - 1; ++j) store(c + j * L, sum[i][j]);
    store_part(c + (NV - 1) * L, sum[i][NV - 1], last);
  }
}

// A tile whose numbers of rows and of vectors are known when it runs: what calls it is compiled
// once, and not for every height.
template <class T, class A, class B>
struct Tile {
  int rows, vectors;
  void (*whole)(int64_t depth, A a, B b, T* c, int64_t c_row, const T* d, int64_t d_row,
                int64_t d_col, int last);

  // c (rows, n) = a (rows, depth) b (depth, n) + d (rows, n), n <= `vectors`. d is absent where its
  // p is null; where c's rows lie contiguous, d's do too or are constant (d.col is 1 or 0).
  __attribute__((always_inline)) void operator()(int64_t depth, A a, B b, int n, Matrix<T> c,
                                                 Matrix<const T> d) const {
    constexpr int L = kLanes<T>;
    const int width = vectors * L, before = width - L;
    if (c.col == 1 && (n == width || (kMasks && n > before)))
      return whole(depth, a, b, c.p, c.row, d.p, d.row, d.col, n - before);
    T value[(kTileSums + 1) * L];
    whole(depth, a, b, value, width, nullptr, 0, 0, n > before ? n - before : L);
    finish(value, width, rows, n, c.p, c.row, c.col, d.p, d.row, d.col);
  }

  // The same by several tiles, so that no sum has more than kChain terms: they are joined in c. The
  // error of a sum grows with its length, and to go to c and back takes 1 % of the time.
  __attribute__((always_inline)) void joined(int64_t depth, A a, B b, int n, Matrix<T> c,
                                             Matrix<const T> d) const {
    constexpr int64_t kChain = 128;
    for (;;) {
      const int64_t part = depth <= kChain ? depth : ceil_div(depth, ceil_div(depth, kChain));
      (*this)(part, a, b, n, c, d);
      depth -= part;
      if (__builtin_expect(depth <= 0, 1)) return;
      a = after(a, part), b = after(b, part), d = {c.p, c.row, c.col};
    }
  }
};

// The tile of NV vectors, or of as many as the registers hold (0), for 1 <= rows <= Most.
template <int NV>
constexpr int vectors_of(int rows) {
  return NV ? NV : tile_vectors(rows);
}
template <int NV, class T, class A, class B, int Most>
struct Tiles {
  decltype(Tile<T, A, B>::whole) of[Most]{};
  constexpr Tiles() { fill<Most>(); }
  template <int H>
  constexpr void fill() {
    of[H - 1] = whole_tile<H, vectors_of<NV>(H), T, A, B>;
    if constexpr (H > 1) fill<H - 1>();
  }
};
template <int NV, class T, class A, class B = Steps<T>, int Most = kTileRows>
Tile<T, A, B> tile_of(int rows) {
  static constexpr Tiles<NV, T, A, B, Most> kTiles;
  return {rows, vectors_of<NV>(rows), kTiles.of[rows - 1]};
}
// That of one vector or two which n columns need.
template <class T, class A, class B = Steps<T>>
Tile<T, A, B> tile_for(int64_t n, int rows) {
  return n > kLanes<T> ? tile_of<2, T, A, B>(rows) : tile_of<1, T, A, B>(rows);
}

// --- packing

// A sliver: to[k * W + i] = from(i, k) for i < n, and 0 for n <= i < W. W is whole vectors.
template <int W, class T>
void pack(T* to, Matrix<const T> from, int n, int64_t depth) {
  constexpr int L = kLanes<T>;
  if (from.row == 1) {
    for (int64_t k = 0; k < depth; ++k)
      for (int i = 0; i < W; i += L) {
        const T* p = from.p + k * from.col + i;
        store(to + k * W + i, n - i >= L ? load(p) : n > i ? load_n(p, n - i) : Vec<T>{});
      }
    return;
  }
  int64_t done = 0;
  if (from.col == 1) {
    for (; done + (kMasks ? 1 : L) <= depth; done += L)
      for (int i = 0; i < W; i += L) {
        const int lanes = min(L, depth - done);
        Vec<T> x[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r)
          x[r] = i + r < n ? load_part(from.p + (i + r) * from.row + done, lanes) : Vec<T>{};
        transpose<T>(x);
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r)
          if (r < lanes) store(to + (done + r) * W + i, x[r]);
      }
  }
  for (int64_t k = done; k < depth; ++k)
    for (int i = 0; i < W; ++i) to[k * W + i] = i < n ? *from.at(i, k).p : 0;
}

// Where sliver t of a's m rows begins, and how many there are: as even as can be, so that 16 rows
// are 8 + 8; the higher ones first.
inline int64_t slivers(int64_t m) { return ceil_div(m, kTileRows); }
inline int64_t sliver(int64_t m, int64_t t) {
  const int64_t count = slivers(m);
  return t * (m / count) + min(t, m % count);
}

// --- products

template <class T>
struct Product {  // c (m, n) = a (m, k) b (k, n) + d (m, n)
  int64_t m, n, k;
  Matrix<T> c;
  Matrix<const T> a, b, d;
};

// Scalar loops over blocks that fit the first-level cache.
template <class T>
void product_blocked(const Product<T>& p) {
  constexpr int64_t kBlock = 64;
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) *p.c.at(i, j).p = p.d.p ? *p.d.at(i, j).p : 0;
  for (int64_t k0 = 0; k0 < p.k; k0 += kBlock)
    for (int64_t i0 = 0; i0 < p.m; i0 += kBlock)
      for (int64_t j0 = 0; j0 < p.n; j0 += kBlock)
        for (int64_t i = i0; i < min(i0 + kBlock, p.m); ++i)
          for (int64_t k = k0; k < min(k0 + kBlock, p.k); ++k) {
            const T s = *p.a.at(i, k).p;
            for (int64_t j = j0; j < min(j0 + kBlock, p.n); ++j)
              *p.c.at(i, j).p += s * *p.b.at(k, j).p;
          }
}

// The register tile straight on a and b. The last columns, where they are not a whole vector and
// there are no masks, are copied first; so are all where columns of b lie apart, one strip at a
// time. Rows of a lie contiguous (a.col is 1) or columns do (a.row is
// 1).
template <class T>
void product_simd(const Product<T>& p) {
  constexpr int L = kLanes<T>;
  const int wide = p.m <= kTileRows ? tile_vectors(p.m) * L : kTileCols<T>;
  const bool in_place = p.b.col == 1;
  const bool copied = !in_place || (!kMasks && p.n % L);
  alignas(64) T small[kSmallStrip * kTileCols<T>];
  Scratch<T> large(copied && p.k > kSmallStrip ? p.k * kTileCols<T> : 0);
  T* const strip = large.p ? large.p : small;
  for (int64_t j = 0; j < p.n;) {
    const int64_t left = p.n - j;
    int n = min(left, kTileCols<T>);
    Steps<T> b{p.b.at(0, j).p, p.b.row};
    if (in_place && left >= wide) {
      n = wide;
    } else if (in_place && !kMasks && left >= L) {
      n = n / L * L;
    } else if (copied) {
      pack<kTileCols<T>>(strip, p.b.at(0, j).transposed(), n, p.k);
      b = {strip, kTileCols<T>};
    }
    // The higher slivers, then the lower ones.
    const int64_t count = slivers(p.m), higher = p.m % count;
    for (int high = 1; high >= 0; --high) {
      const int64_t first = high ? 0 : higher, last = high ? higher : count;
      if (first == last) continue;
      const int64_t h = p.m / count + high;
      const auto run = [&](auto left) {
        using A = decltype(left(p.a));
        const auto tile = n > kTileCols<T> ? tile_of<0, T, A>(h) : tile_for<T, A>(n, h);
        for (int64_t t = first; t < last; ++t) {
          const int64_t i = t * h + (high ? 0 : higher);
          tile.joined(p.k, left(p.a.at(i, 0)), b, n, p.c.at(i, j), p.d.at(i, j));
        }
      };
      if (p.a.row == 1)
        run([](Matrix<const T> a) { return ByColumn<T>{a.p, a.col}; });
      else
        run([](Matrix<const T> a) { return EvenRows<T>{a.p, a.row}; });
    }
    j += n;
  }
}
extern template void product_simd(const Product<float>&);  // compiled once, in matmul.cpp
extern template void product_simd(const Product<double>&);

// Strips of b's columns, as wide as a tile, for a stretch of k: packed, or where they lie.
template <class T>
struct Strips {
  static constexpr int W = kTileCols<T>;
  Matrix<const T> b;
  int64_t n, depth;
  T* panel;       // null if they are read in place
  const T* last;  // the one that is not whole, packed, if the others are not

  // Of a strip in the panel: one vector more, for powers of two would meet in the cache.
  static int64_t room(int64_t depth) { return W * depth + kLanes<T>; }

  Steps<T> at(int64_t s) const {
    if (panel) return {panel + s * room(depth), W};
    if (last && s == n / W) return {last, W};
    return {b.p + s * W, b.row};
  }
  // Side by side, so that memory is read in long runs.
  void pack_all() const {
    const int64_t whole = b.col == 1 ? n / W : 0;
    for (int64_t k = 0; k < depth; ++k)
      for (int64_t s = 0; s < whole; ++s)
        for (int i = 0; i < W; i += kLanes<T>)
          store(panel + s * room(depth) + k * W + i, load(b.p + k * b.row + s * W + i));
    for (int64_t s = whole; s * W < n; ++s)
      pack<W>(panel + s * room(depth), b.at(0, s * W).transposed(), min(W, n - s * W), depth);
  }
};

template <class T>
bool all_finite(const T* x, int64_t n) {
  constexpr int L = kLanes<T>;
  Vec<T> zero = {};
  int64_t i = 0;
  for (; i + L <= n; i += L) zero += load(x + i) * 0;
  T s = sum<T>(zero);
  for (; i < n; ++i) s += x[i] * 0;
  return s == 0;
}

// Whether the rows of a matrix all begin in the same set of the L1 cache.
template <class T>
bool one_cache_set(Matrix<const T> x) {
  return x.row * int64_t(sizeof(T)) % 4096 == 0;
}

// c (h, columns of the strips) = a (h, depth) b + d for one sliver of a: packed, or where it lies.
template <class T>
void product_sliver(int h, Matrix<const T> a, const T* packed, const Strips<T>& b, int64_t strips,
                    Matrix<T> c, Matrix<const T> d) {
  constexpr int W = kTileCols<T>;
  const auto run = [&](auto left) {
    using A = decltype(left);
    for (int64_t s = 0; s < strips; ++s) {
      const int n = min(W, b.n - s * W);
      tile_for<T, A>(n, h).joined(b.depth, left, b.at(s), n, c.at(0, s * W), d.at(0, s * W));
    }
  };
  if (packed || a.row == 1)
    run(packed ? ByColumn<T>{packed, kPackRows<T>} : ByColumn<T>{a.p, a.col});
  else
    run(EvenRows<T>{a.p, a.row});
}

// The slivers first..end-1 of a's m rows, whose columns lie contiguous.
template <class T>
void pack_columns(T* to, Matrix<const T> a, int64_t m, int64_t first, int64_t end, int64_t depth) {
  constexpr int H = kPackRows<T>, L = kLanes<T>, kAhead = 4;
  for (int64_t k = 0; k < depth; ++k) {
    for (int64_t i = sliver(m, first); i < sliver(m, end); i += kLine<T>)
      __builtin_prefetch(a.p + i + (k + kAhead) * a.col);  // each on a page of its own
    for (int64_t t = first; t < end; ++t) {
      const int64_t i = sliver(m, t), n = sliver(m, t + 1) - i;
      T* out = to + (t - first) * (H * depth + L) + k * H;
      for (int64_t r = 0; r < n; r += L)
        store(out + r, load_n(a.p + i + r + k * a.col, min(L, n - r)));
    }
  }
}

// Five loops around the tile: panels of b's columns, `depths` blocks of k, slivers of a, strips of
// b in the panel, and k. A block of b stays in the L2 cache, packed once, while slivers of a go by
// in the L1 cache. What is used a few times is read where it lies, and so is b if it is to be.
template <class T>
void product_tiles(const Product<T>& p, int64_t depths, bool in_place) {
  constexpr int W = kTileCols<T>, H = kPackRows<T>, L = kLanes<T>;
  constexpr int64_t item = sizeof(T);
  const int64_t tiles = slivers(p.m), strips = ceil_div(p.n, W);
  // Columns of a that meet in the cache are each other's end before they are used again.
  const bool meet = p.a.col == 1 ? one_cache_set(p.a) : p.a.col * item % 2048 == 0;
  const bool pack_a = strips > (p.a.col != 1 ? (meet ? kUses / 2 : kUses)
                                : meet       ? kUses
                                             : kRowUses);
  const int64_t most = ceil_div(p.k, depths);
  const int64_t panels = max(1, ceil_div(strips * W * most * item, kPanelBytes));
  const int64_t widest = ceil_div(strips, panels);
  const bool pack_b = p.b.col != 1 || tiles > 3 * kUses ||
                      (!in_place && tiles > 1 && p.k > kShortDepth && one_cache_set(p.b)) ||
                      (tiles > kUses && p.k * p.n * item > kSmallBytes);
  const bool tail = !kMasks && !pack_b && p.n % L;
  Scratch<T> panel(pack_b ? widest * Strips<T>::room(most) : tail ? W * most : 0);
  // Of a that lies along its columns, slivers are packed together: memory is read in longer runs.
  const int64_t together = pack_a && p.a.row == 1 ? min(tiles, 8) : 1;
  Scratch<T> copy(pack_a ? together * (H * most + L) : 0);
  for (int64_t panel_no = 0; panel_no < panels; ++panel_no) {
    const int64_t j0 = cut(strips, panels, panel_no) * W;
    const int64_t count = cut(strips, panels, panel_no + 1) - j0 / W, n = min(count * W, p.n - j0);
    for (int64_t block = 0; block < depths; ++block) {
      const int64_t k0 = cut(p.k, depths, block), depth = cut(p.k, depths, block + 1) - k0;
      const bool last = tail && panel_no == panels - 1;
      const Strips<T> b{p.b.at(k0, j0), n, depth, pack_b ? panel.p : nullptr,
                        last ? panel.p : nullptr};
      if (pack_b)
        b.pack_all();
      else if (last)
        pack<W>(panel.p, b.b.at(0, n / W * W).transposed(), n % W, depth);
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t i = sliver(p.m, t), h = sliver(p.m, t + 1) - i;
        const Matrix<const T> a = p.a.at(i, k0);
        T* const packed = pack_a ? copy.p + t % together * (H * depth + L) : nullptr;
        if (pack_a && p.a.row != 1)
          pack<H>(packed, a, h, depth);
        else if (pack_a && t % together == 0)
          pack_columns(copy.p, p.a.at(0, k0), p.m, t, min(t + together, tiles), depth);
        // The next rows, where they lie: the hardware fetches only longer ones in advance.
        if (!pack_a && a.col == 1 && t + 1 < tiles && count > 2 && depth * item <= kShortRow)
          for (int64_t r = 0; r < h; ++r)
            for (int64_t k = 0; k < depth; k += kLine<T>)
              __builtin_prefetch(a.p + (h + r) * a.row + k, 0, 2);
        const Matrix<T> c = p.c.at(i, j0);
        product_sliver<T>(h, a, packed, b, count, c,
                          block ? Matrix<const T>{c.p, c.row, c.col} : p.d.at(i, j0));
      }
    }
  }
}

// The sums of L vectors, one a lane.
template <class T>
inline __attribute__((always_inline)) Vec<T> sums_of(Vec<T> (&x)[kLanes<T>]) {
  constexpr int L = kLanes<T>;
#pragma GCC unroll 4
  for (int n = L / 2; n > 0; n /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < n; ++i)
      x[i] = interleave<T>(x[i], x[i + n], 0) + interleave<T>(x[i], x[i + n], L / 2);
  }
  return x[0];
}

// c (m, n) = a (m, k) b (k, n) + d where both lie along k and n is small: R rows and C columns at a
// time, with vectors along k. What is beyond the last row or column is the last once more.
template <int R, int C, class T>
void product_dots(const Product<T>& p) {
  constexpr int L = kLanes<T>;
  static_assert(R * C <= L);
  const int64_t grain = ceil_div(kChunkWork, R * max(1, p.k * p.n)) * R;
  for_ranges(p.m, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += R)
      for (int64_t j = 0; j < p.n; j += C) {
        const T *a[R], *b[C];
        for (int r = 0; r < R; ++r) a[r] = p.a.at(min(i + r, end - 1), 0).p;
        for (int c = 0; c < C; ++c) b[c] = p.b.at(0, min(j + c, p.n - 1)).p;
        Vec<T> total[L] = {};
        const auto add = [&](auto read) {
          Vec<T> v[C];
#pragma GCC unroll 4
          for (int c = 0; c < C; ++c) v[c] = read(b[c]);
#pragma GCC unroll 16
          for (int r = 0; r < R; ++r) {
            const Vec<T> s = read(a[r]);
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) total[r * C + c] += s * v[c];
          }
        };
        int64_t k = 0;
        for (; k + L <= p.k; k += L) add([&](const T* x) { return load(x + k); });
        if (k < p.k) add([&](const T* x) { return load_n(x + k, p.k - k); });
        T value[L];
        store(value, sums_of<T>(total));
        for (int r = 0; r < R && i + r < end; ++r)
          for (int c = 0; c < C && j + c < p.n; ++c)
            *p.c.at(i + r, j + c).p = value[r * C + c] + (p.d.p ? *p.d.at(i + r, j + c).p : 0);
      }
  });
}

// c (m, n) = a (m, k) b (k, n) + d for a row or two and a large b with contiguous rows: b streams
// by from memory, four rows at a time, while a stretch of c stays in the cache. Where c is short,
// stretches of k have sums of their own.
template <class T>
void product_rows(const Product<T>& p) {
  constexpr int L = kLanes<T>, kAtOnce = 4;
  constexpr int64_t kStretch = 4096;
  const int64_t stretches = ceil_div(p.n, kStretch);
  const int64_t wanted = ceil_div(p.n * p.k, kChunkWork / 4);
  const int64_t parts = max(1, min(min(kChunks, p.k / 16), wanted / stretches));
  Scratch<T> sums((parts - 1) * p.m * p.n);  // of all parts but the first
  const auto row_of = [&](int64_t part, int64_t i) {
    return part ? sums.p + ((part - 1) * p.m + i) * p.n : p.c.at(i, 0).p;
  };
  for_chunks(stretches * parts, [&](int64_t chunk) {
    const int64_t part = chunk % parts;
    const int64_t begin = cut(p.n, stretches, chunk / parts),
                  end = cut(p.n, stretches, chunk / parts + 1);
    for (int64_t i = 0; i < p.m; ++i) {
      T* c = row_of(part, i);
      for (int64_t j = begin; j < end; ++j) c[j] = p.d.p && part == 0 ? *p.d.at(i, j).p : 0;
    }
    const int64_t last = cut(p.k, parts, part + 1);
    for (int64_t k = cut(p.k, parts, part); k < last; k += kAtOnce)
      with<kAtOnce>(min(kAtOnce, last - k), [&](auto count) {
        constexpr int K = decltype(count)::value;
        const T* b = p.b.at(k, 0).p;
        for (int64_t i = 0; i < p.m; ++i) {
          T* c = row_of(part, i);
          Vec<T> s[K];
          for (int l = 0; l < K; ++l) s[l] = splat(*p.a.at(i, k + l).p);
          int64_t j = begin;
          for (; j + L <= end; j += L) {
            Vec<T> x = load(c + j);
            for (int l = 0; l < K; ++l) x += s[l] * load(b + l * p.b.row + j);
            store(c + j, x);
          }
          if (j < end) {
            Vec<T> x = load_n(c + j, end - j);
            for (int l = 0; l < K; ++l) x += s[l] * load_n(b + l * p.b.row + j, end - j);
            store_n(c + j, x, end - j);
          }
        }
      });
  });
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t part = 1; part < parts; ++part) {
      T* c = p.c.at(i, 0).p;
      const T* more = row_of(part, i);
      for (int64_t j = 0; j < p.n; ++j) c[j] += more[j];
    }
}

// c (m, n) = a (m, k) b (k, n) + d for a small c and a long k: stretches of k, a fixed number for
// the sizes, have sums of their own.
template <class T>
void product_long(const Product<T>& p) {
  const int64_t parts = min(8, p.k / kLong), size = p.m * p.n;
  Scratch<T> sums(parts * size);
  for_chunks(parts, [&](int64_t part) {
    const int64_t from = cut(p.k, parts, part), to = cut(p.k, parts, part + 1);
    product_simd<T>({p.m,
                     p.n,
                     to - from,
                     {sums.p + part * size, p.n, 1},
                     p.a.at(0, from),
                     p.b.at(from, 0),
                     {}});
  });
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      T sum = p.d.p ? *p.d.at(i, j).p : 0;
      for (int64_t part = 0; part < parts; ++part) sum += sums.p[part * size + i * p.n + j];
      *p.c.at(i, j).p = sum;
    }
}

// Where less exact products were asked for (engine.h): whether c is made.
template <class T>
bool product_by_parts([[maybe_unused]] const Product<T>& p) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == sizeof(float))
    return p.m * p.n * p.k >= kLeastByParts &&
           multiply_by_parts({p.m, p.n, p.k, p.c.p, p.c.row, p.c.col, p.a.p, p.a.row, p.a.col,
                              p.b.p, p.b.row, p.b.col, p.d.p, p.d.row, p.d.col});
#endif
  return false;
}

// The fastest of these for the sizes at hand, on so many threads.
template <class T>
void product_fast(Product<T> p, int64_t threads) {
  constexpr int L = kLanes<T>;
  if (product_by_parts(p)) return;
  const auto turn = [&] {  // c^T = b^T a^T
    const Matrix<const T> a = p.a;
    p = {p.n, p.m, p.k, p.c.transposed(), p.b.transposed(), a.transposed(), p.d.transposed()};
  };
  // Few rows or columns fill no tile; dots do where both operands lie along k and it is long.
  constexpr int R = L < 4 ? L : 4, C = L / R;
  const int64_t few = min(p.m, p.n);
  if (few <= kFewDots && (few == 1 || p.k >= kDotDepth * ceil_div(few, C))) {
    if (p.m < p.n ? p.b.row == 1 && p.b.col != 1 : p.a.row == 1 && p.a.col != 1) turn();
    if (p.n <= p.m && p.a.col == 1) {
      Scratch<T> along(p.b.row == 1 || p.m < kFewRows ? 0 : p.k * p.n);
      if (along.p) {
        for (int64_t k = 0; k < p.k; ++k)
          for (int64_t j = 0; j < p.n; ++j) along.p[j * p.k + k] = *p.b.at(k, j).p;
        p.b = {along.p, 1, p.k};
      }
      if (p.b.row == 1) return p.n == 1 && p.m > L ? product_dots<L, 1>(p) : product_dots<R, C>(p);
    }
  }
  // Each thread has rows or columns of c to itself, and packs the b, or the a, for them alone: what
  // another core has just written is far away. So is what lies beside it, which is fetched in
  // advance: in each row of c that two of them write.
  const auto shares_rows = [&] {
    return p.k * p.m + (p.c.col == 1 ? kTornRow * p.m : 0) > p.k * p.n;
  };
  // The tile wants b's rows contiguous. Where its columns are, they are packed, which turns them
  // over; or c's are, and a's rows if they are contiguous, where that is less for one of two
  // threads. An element of c takes 5/3 of the time of one that is packed.
  const int64_t more = p.a.row == 1 ? 0 : p.m * p.k;
  if (p.b.col != 1 && 5 * p.m * p.n / 6 + more < p.k * p.n / (shares_rows() ? 1 : 2)) turn();
  if (p.m <= 2 && p.b.col == 1 && p.c.col == 1 && p.n * p.k >= 1 << 16) return product_rows(p);
  if (p.b.col == 1 && p.m * p.n <= 1 << 10 && p.k >= 2 * kLong && p.m * p.n * p.k >= kChunkWork)
    return product_long(p);
  if (p.b.col == 1 && p.m < kTileRows / 2) {  // b is used once: columns over threads, no copy
    const int64_t strip = tile_vectors(p.m) * kLanes<T>;
    const int64_t chunks = max(1, p.m * p.n * p.k / kChunkWork);
    return for_ranges(
        p.n, ceil_div(ceil_div(p.n, chunks), strip) * strip, [&](int64_t from, int64_t to) {
          product_simd<T>(
              {p.m, to - from, p.k, p.c.at(0, from), p.a, p.b.at(0, from), p.d.at(0, from)});
        });
  }
  if (p.b.col == 1 && p.n <= kTileCols<T>)  // one strip of b: rows over threads
    return for_ranges(p.m, ceil_div(even_share(p.m, max(p.n, L) * p.k), kTileRows) * kTileRows,
                      [&](int64_t from, int64_t to) {
                        product_simd<T>({to - from, p.n, p.k, p.c.at(from, 0), p.a.at(from, 0), p.b,
                                         p.d.at(from, 0)});
                      });
  if (p.b.col == 1 && p.m * p.n * p.k <= kSmallWork) return product_simd(p);
  // Blocks of k, the same for any number of threads. A large b that a few slivers of a meet streams
  // by in place.
  const int64_t tiles = slivers(p.m), strips = ceil_div(p.n, kTileCols<T>);
  const bool streams = p.b.col == 1 && (tiles <= 2 || (tiles <= kUses && one_cache_set(p.b))) &&
                       p.k * p.n * sizeof(T) > kPanelBytes;
  const bool deep = strips <= kUses && p.a.col == 1;
  const int64_t block = streams ? kShortDepth : deep ? 2 * kBlockDepth<T> : kBlockDepth<T>;
  const int64_t depths = max(1, ceil_div(p.k, block));
  // A few vectors of columns that the threads cannot share evenly cost more than that.
  const int64_t vectors = ceil_div(p.n, L);
  const bool uneven = vectors % threads && vectors < 16 * threads && p.m >= 2 * kTileRows * threads;
  const bool by_rows =
      shares_rows() || uneven || p.k <= 16 || (p.k <= 128 && p.m * p.n * sizeof(T) > 1 << 21);
  const int64_t cuts = by_rows ? p.m : ceil_div(p.n, L);
  const int64_t wanted = p.m * p.n * p.k < kChunkWork ? 1 : threads;
  const int64_t pieces = min(cuts, wanted * (by_rows ? 1 : max(1, strips / (kWidest * wanted))));
  for_chunks(pieces, [&](int64_t piece) {
    int64_t from = cut(cuts, pieces, piece), to = cut(cuts, pieces, piece + 1);
    Product<T> own = p;
    if (by_rows) {
      own = {to - from, p.n, p.k, p.c.at(from, 0), p.a.at(from, 0), p.b, p.d.at(from, 0)};
    } else {
      from *= L, to = min(p.n, to * L);
      own = {p.m, to - from, p.k, p.c.at(0, from), p.a, p.b.at(0, from), p.d.at(0, from)};
    }
    if (p.c.col == 1) return product_tiles(own, depths, streams);
    // A c that lies transposed is made beside its place and turned over whole: each of its lines is
    // then written once.
    const Matrix<T> c = own.c;
    const Matrix<const T> d = own.d;
    Scratch<T> beside(own.m * own.n + L);  // finish reads whole vectors
    own.c = {beside.p, own.n, 1}, own.d = {};
    product_tiles(own, depths, streams);
    finish(beside.p, own.n, own.m, own.n, c.p, c.row, c.col, d.p, d.row, d.col);
  });
}

extern template void product_fast(Product<float>, int64_t);  // likewise
extern template void product_fast(Product<double>, int64_t);

}  // namespace mt::MT_ISA
