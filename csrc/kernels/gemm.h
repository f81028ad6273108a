// Matrix products out of one register tile, shared by matmul.cpp and conv.cpp.
//
//     c_ij = sum_k a_ik b_kj + d_ij
//
// The tile keeps kTileRows x 2 vectors of c in registers while k runs: each step loads a row of b
// (two vectors) and multiplies it by each a_ik in turn, so that a load feeds many multiplications.
// Everything around it arranges for its operands to be near: packed into slivers as wide as the
// tile, in blocks that fit the caches.
#pragma once

#include "../runtime/memory.h"
#include "../runtime/parallel.h"
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

// As many sums as the registers hold, beside a row of b (two vectors) and one broadcast of a.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif
constexpr int kTileRows = (kRegisters - 1) / 2 - 1;  // 14 or 6
constexpr int kTileSums = 2 * kTileRows;
template <class T>
constexpr int kTileCols = 2 * kLanes<T>;
template <class T>
constexpr int kPackRows = (kTileRows + kLanes<T> - 1) / kLanes<T> * kLanes<T>;  // whole vectors

// With few rows the tile is wider, so that there are sums enough to hide an addition's latency.
constexpr int tile_vectors(int rows) {
  return rows == 1 || 8 * (rows + 1) < kRegisters ? 8 : 4 * (rows + 1) < kRegisters ? 4 : 2;
}

constexpr int64_t kDepth = 256;     // of k in one block: a sliver of b then stays in the L1 cache
constexpr int64_t kBlockRows = 16;  // slivers of a in one block, which stays in the L2 cache
constexpr int64_t kBlockCols = 96;  // slivers of b in one block, shared by all threads
constexpr int64_t kChunkWork = 1 << 18;  // multiplications that are worth waking a thread for

inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// n cut into `parts` as evenly as whole numbers allow: where part i begins.
inline int64_t cut(int64_t n, int64_t parts, int64_t i) { return n * i / parts; }

// Working memory for the time of a block.
template <class T>
struct Scratch {
  T* p;
  explicit Scratch(int64_t n) : p(static_cast<T*>(scratch(n * sizeof(T)))) {}
  ~Scratch() { release(p); }
  Scratch(const Scratch&) = delete;
};

template <int N>
struct Int {
  static constexpr int value = N;
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
// -------------------------------------------------------------------------------------------------------

template <class T>
struct Matrix {  // element (i, j) is p[i * row + j * col]
  T* p;
  int64_t row, col;
  Matrix at(int64_t i, int64_t j) const { return {p ? p + i * row + j * col : p, row, col}; }
  Matrix transposed() const { return {p, col, row}; }
};

// How the tile reads a, in three forms: packed or lying transposed; row by row; and rows anywhere.
template <class T>
struct ByColumn {
  const T* p;
  int64_t step;
  T operator()(int i, int64_t k) const { return p[i + k * step]; }
};
template <class T, int H>
struct ByRow {
  const T* row[H];
  T operator()(int i, int64_t k) const { return row[i][k]; }
};

// How it reads b: row k begins a step further, or where a table says.
template <class T>
struct Steps {
  const T* p;
  int64_t step;
  const T* operator()(int64_t k) const { return p + k * step; }
};
template <class T>
struct Taps {
  const T* p;
  const int64_t* offset;
  const T* operator()(int64_t k) const { return p + offset[k]; }
};

// --- the tile
// -------------------------------------------------------------------------------------------------------

// The sums of a tile that is not whole, or is added to something, or whose columns do not lie side
// by side.
template <class T>
__attribute__((noinline)) void finish(const T* sum, int width, int rows, int n, Matrix<T> c,
                                      Matrix<const T> d) {
  constexpr int L = kLanes<T>;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < n; j += L) {
      const int lanes = min(L, n - j);
      T* out = c.p + i * c.row + j * c.col;
      const T *more = d.p + i * d.row + j * d.col, *in = sum + i * width + j;
      if (c.col == 1) {
        Vec<T> x = load(in);
        if (d.p) x += d.col == 0 ? splat(*more) : lanes == L ? load(more) : load_n(more, lanes);
        lanes == L ? store(out, x) : store_n(out, x, lanes);
      } else {
        for (int l = 0; l < lanes; ++l) out[l * c.col] = in[l] + (d.p ? more[l * d.col] : 0);
      }
    }
}

// sum (H, NV vectors) += a (H, depth) b (depth, NV vectors)
template <int H, int NV, class T, class V, class A, class B>
inline __attribute__((always_inline)) void accumulate(V (&sum)[H][NV], int64_t depth, A a, B b) {
  constexpr int L = kLanes<T>;
  for (int64_t k = 0; k < depth; ++k) {
    const T* row = b(k);
    Vec<T> v[NV];
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) v[j] = load(row + j * L);
#pragma GCC unroll 14
    for (int i = 0; i < H; ++i) {
      const Vec<T> s = splat(a(i, k));
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) sum[i][j] += s * v[j];
    }
  }
}

// c (H, n) = sum (H, n) + d (H, n), n <= NV vectors. d is absent where its p is null; where c's
// rows lie contiguous, d's do too or are constant (d.col is 1 or 0).
template <int H, int NV, class T, class V>
inline __attribute__((always_inline)) void put(const V (&sum)[H][NV], int n, Matrix<T> c,
                                               Matrix<const T> d) {
  constexpr int L = kLanes<T>;
  if (c.col == 1 && n == NV * L) {
#pragma GCC unroll 14
    for (int i = 0; i < H; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < NV; ++j) {
        const T* more = d.p + i * d.row + j * L * d.col;
        const Vec<T> s = sum[i][j];
        store(c.p + i * c.row + j * L, !d.p ? s : d.col ? s + load(more) : s + splat(*more));
      }
    }
    return;
  }
  T value[H * NV * L];
#pragma GCC unroll 14
  for (int i = 0; i < H; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < NV; ++j) store(value + (i * NV + j) * L, sum[i][j]);
  }
  finish(value, NV * L, H, n, c, d);
}

// c (H, n) = a (H, depth) b (depth, n) + d (H, n)
template <int H, int NV, class T, class A, class B>
inline __attribute__((always_inline)) void tile(int64_t depth, A a, B b, int n, Matrix<T> c,
                                                Matrix<const T> d) {
  Vec<T> sum[H][NV] = {};
  accumulate<H, NV, T>(sum, depth, a, b);
  put<H, NV, T>(sum, n, c, d);
}

// --- packing
// --------------------------------------------------------------------------------------------------------

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
    for (; done + L <= depth; done += L)
      for (int i = 0; i < W; i += L) {
        Vec<T> x[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r)
          x[r] = i + r < n ? load(from.p + (i + r) * from.row + done) : Vec<T>{};
        transpose<T>(x);
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) store(to + (done + r) * W + i, x[r]);
      }
  }
  for (int64_t k = done; k < depth; ++k)
    for (int i = 0; i < W; ++i) to[k * W + i] = i < n ? *from.at(i, k).p : 0;
}

// Where sliver t of a's m rows begins, and how many there are: as even as can be, so that 16 rows
// are 8 + 8.
inline int64_t slivers(int64_t m) { return ceil_div(m, kTileRows); }
inline int64_t sliver(int64_t m, int64_t t) { return cut(m, slivers(m), t); }

// A tile on packed slivers of a and b; n columns.
template <class T>
inline void packed_tile(int h, int n, int64_t depth, const T* a, const T* b, Matrix<T> c,
                        Matrix<const T> d) {
  with<kTileRows>(h, [&](auto rows) {
    constexpr int H = decltype(rows)::value;
    const ByColumn<T> left{a, kPackRows<T>};
    const Steps<T> right{b, kTileCols<T>};
    if (depth >= 64)
      for (int i = 0; i < H; ++i) {  // c is asked for now and needed when the sums are done
        __builtin_prefetch(c.p + i * c.row, 1);
        __builtin_prefetch(c.p + i * c.row + kLanes<T>, 1);
      }
    if (n > kLanes<T>)
      tile<H, 2>(depth, left, right, n, c, d);
    else
      tile<H, 1>(depth, left, right, n, c, d);
  });
}

// --- products
// -------------------------------------------------------------------------------------------------------

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

// The register tile straight on a and b. Columns of b that are not whole vectors, or lie apart, are
// copied first, one strip at a time. Rows of a lie contiguous (a.col is 1) or columns do (a.row is
// 1).
template <class T>
void product_simd(const Product<T>& p) {
  constexpr int L = kLanes<T>;
  const int wide = p.m <= kTileRows ? tile_vectors(p.m) * L : kTileCols<T>;
  const bool in_place = p.b.col == 1;
  Scratch<T> strip(in_place && p.n % L == 0 ? 0 : p.k * kTileCols<T>);
  for (int64_t j = 0; j < p.n;) {
    const int64_t left = p.n - j;
    int n = min(left, kTileCols<T>);
    Steps<T> b{p.b.at(0, j).p, p.b.row};
    if (in_place && left >= wide) {
      n = wide;
    } else if (in_place && left >= L) {
      n = n / L * L;
    } else {
      pack<kTileCols<T>>(strip.p, p.b.at(0, j).transposed(), n, p.k);
      b = {strip.p, kTileCols<T>};
    }
    for (int64_t t = 0; t < slivers(p.m); ++t) {
      const int64_t i = sliver(p.m, t);
      with<kTileRows>(sliver(p.m, t + 1) - i, [&](auto rows) {
        constexpr int H = decltype(rows)::value;
        const Matrix<T> c = p.c.at(i, j);
        const Matrix<const T> d = p.d.at(i, j);
        const auto run = [&](auto a) {
          if (n > kTileCols<T>) {
            if constexpr (tile_vectors(H) > 2) tile<H, tile_vectors(H)>(p.k, a, b, n, c, d);
          } else if (n > L) {
            tile<H, 2>(p.k, a, b, n, c, d);
          } else {
            tile<H, 1>(p.k, a, b, n, c, d);
          }
        };
        const Matrix<const T> a = p.a.at(i, 0);
        if (a.row == 1) return run(ByColumn<T>{a.p, a.col});
        ByRow<T, H> by_row;
        for (int r = 0; r < H; ++r) by_row.row[r] = a.p + r * a.row;
        run(by_row);
      });
    }
    j += n;
  }
}

// Five loops around the tile: blocks of n, of k, of m; then slivers of b, of a. b is packed once
// for all threads, each block of a by the thread that uses it.
template <class T>
void product_packed(const Product<T>& p) {
  constexpr int W = kTileCols<T>, H = kPackRows<T>;
  const int64_t tiles = slivers(p.m), depths = ceil_div(p.k, kDepth),
                panels = ceil_div(p.n, W * kBlockCols);
  // As many blocks of rows as caches ask for, or as give several threads work.
  const int64_t enough = min(min(8, tiles), p.m * p.n * p.k / (4 * kChunkWork));
  const int64_t row_blocks = max(ceil_div(tiles, kBlockRows), enough);
  const int64_t depth_most = ceil_div(p.k, depths);
  Scratch<T> panel(min(ceil_div(p.n, W), kBlockCols) * W * depth_most);
  for (int64_t panel_no = 0; panel_no < panels; ++panel_no) {
    const int64_t j0 = panel_no * W * kBlockCols,
                  strips = ceil_div(min(W * kBlockCols, p.n - j0), W);
    const int64_t column_blocks = max(1, min(strips / 8, ceil_div(16, row_blocks)));
    for (int64_t block = 0; block < depths; ++block) {
      const int64_t k0 = cut(p.k, depths, block), depth = cut(p.k, depths, block + 1) - k0;
      for_ranges(strips, ceil_div(kChunkWork / 16, W * depth), [&](int64_t from, int64_t to) {
        for (int64_t s = from; s < to; ++s)
          pack<W>(panel.p + s * W * depth, p.b.at(k0, j0 + s * W).transposed(),
                  min(W, p.n - j0 - s * W), depth);
      });
      for_chunks(row_blocks * column_blocks, [&](int64_t chunk) {
        const int64_t rb = chunk / column_blocks, cb = chunk % column_blocks;
        const int64_t first = cut(tiles, row_blocks, rb), last = cut(tiles, row_blocks, rb + 1);
        Scratch<T> a((last - first) * H * depth);
        for (int64_t t = first; t < last; ++t) {
          const int64_t i = sliver(p.m, t);
          pack<H>(a.p + (t - first) * H * depth, p.a.at(i, k0), sliver(p.m, t + 1) - i, depth);
        }
        for (int64_t s = cut(strips, column_blocks, cb); s < cut(strips, column_blocks, cb + 1);
             ++s)
          for (int64_t t = first; t < last; ++t) {
            const int64_t i = sliver(p.m, t), j = j0 + s * W;
            const Matrix<T> c = p.c.at(i, j);
            const Matrix<const T> before = {c.p, c.row, c.col};
            packed_tile(sliver(p.m, t + 1) - i, min(W, p.n - j), depth,
                        a.p + (t - first) * H * depth, panel.p + s * W * depth, c,
                        block ? before : p.d.at(i, j));
          }
      });
    }
  }
}

// c (m, 1) = a (m, k) b (k, 1) + d where both lie along k: four rows at a time, two vectors of sums
// each.
template <class T>
void product_dots(const Product<T>& p) {
  constexpr int L = kLanes<T>;
  const T* b = p.b.p;
  for_ranges(p.m, max(4, ceil_div(kChunkWork, 4 * max(1, p.k)) * 4),
             [&](int64_t begin, int64_t end) {
               for (int64_t i = begin; i < end; i += 4)
                 with<4>(min(4, end - i), [&](auto rows) {
                   constexpr int H = decltype(rows)::value;
                   const T* a = p.a.at(i, 0).p;
                   Vec<T> total[H][2] = {};
                   int64_t k = 0;
                   for (; k + 2 * L <= p.k; k += 2 * L)
#pragma GCC unroll 4
                     for (int r = 0; r < H; ++r) {
                       total[r][0] += load(a + r * p.a.row + k) * load(b + k);
                       total[r][1] += load(a + r * p.a.row + k + L) * load(b + k + L);
                     }
                   for (int r = 0; r < H; ++r) {
                     T s = sum<T>(total[r][0] + total[r][1]);
                     for (int64_t l = k; l < p.k; ++l) s += a[r * p.a.row + l] * b[l];
                     *p.c.at(i + r, 0).p = s + (p.d.p ? *p.d.at(i + r, 0).p : 0);
                   }
                 });
             });
}

// c (m, n) = a (m, k) b (k, n) + d for a row or two and a large b with contiguous rows: b streams
// by from memory, four rows at a time, while a stretch of c stays in the cache.
template <class T>
void product_rows(const Product<T>& p) {
  constexpr int L = kLanes<T>, kAtOnce = 4;
  const int64_t stretch = 4096 / sizeof(T);
  for_ranges(p.n, stretch, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = begin; j < end; ++j) *p.c.at(i, j).p = p.d.p ? *p.d.at(i, j).p : 0;
    for (int64_t k = 0; k < p.k; k += kAtOnce)
      with<kAtOnce>(min(kAtOnce, p.k - k), [&](auto count) {
        constexpr int K = decltype(count)::value;
        const T* b = p.b.at(k, 0).p;
        for (int64_t i = 0; i < p.m; ++i) {
          T* c = p.c.at(i, 0).p;
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
}

// The fastest of these for the sizes at hand.
template <class T>
void product_fast(Product<T> p) {
  // c^T = b^T a^T: the tile wants b's rows contiguous; where a's columns are and b's rows are not,
  // the other way round needs no copy, and where neither is, the smaller of the two is the one to
  // copy.
  const bool turn = p.n == 1 ? p.a.col != 1 : p.b.col != 1 && (p.a.row == 1 || p.m < p.n);
  if (turn) {
    const Matrix<const T> a = p.a;
    p = {p.n, p.m, p.k, p.c.transposed(), p.b.transposed(), a.transposed(), p.d.transposed()};
  }
  if (p.n == 1 && p.a.col == 1 && p.b.row == 1) return product_dots(p);
  const int64_t work = p.m * p.n * p.k;
  const int64_t chunks = max(1, work / kChunkWork);
  if (p.m <= 2 && p.b.col == 1 && p.c.col == 1 && p.n * p.k >= 1 << 16) return product_rows(p);
  if (p.m <= kTileRows && p.b.col == 1) {  // b is used once: columns over threads, no copy
    const int64_t strip = tile_vectors(p.m) * kLanes<T>;
    return for_ranges(
        p.n, ceil_div(ceil_div(p.n, chunks), strip) * strip, [&](int64_t from, int64_t to) {
          product_simd<T>(
              {p.m, to - from, p.k, p.c.at(0, from), p.a, p.b.at(0, from), p.d.at(0, from)});
        });
  }
  // All of b is in the cache anyway, or a strip of it and few rows use it: rows over threads, no
  // copy.
  if (p.n <= 2 * kTileCols<T> || (p.k <= kDepth && (work <= 8 * kChunkWork || p.m <= 64))) {
    const int64_t least = p.b.col == 1 ? kTileRows : 4 * kTileRows;  // each copies its strips
    const int64_t grain = ceil_div(ceil_div(p.m, chunks), least) * least;
    return for_ranges(p.m, grain, [&](int64_t from, int64_t to) {
      product_simd<T>(
          {to - from, p.n, p.k, p.c.at(from, 0), p.a.at(from, 0), p.b, p.d.at(from, 0)});
    });
  }
  product_packed(p);
}

}  // namespace
}  // namespace mt::MT_ISA
