// Products of float32 by parts of bfloat16:
//
//     a = a1 + a2 (+ 2^-17 |a|),   a1 = bfloat16(a), a2 = bfloat16(a - a1), and so b
//     c_ij = d_ij + sum_k a1_ik b1_kj                             one part ("medium")
//     c_ij = d_ij + sum_k a2_ik b1_kj + a1_ik b1_kj + a1_ik b2_kj   two parts ("high")
//
// A bfloat16 has 8 significant bits, a product of two is exact in float32, and the sums are
// float32's. What two parts leave out is at most 2^-15 |a_ik| |b_kj| of each product.
//
// A unit for tiles (AMX) adds 16 x 32 by 32 x 16 to 16 x 16 sums with one instruction. A tile has
// 16 rows of 16 pairs of neighbours in k; a row is of a, or a pair of rows of b. Both operands are
// laid out like this once, then blocks of c are shared among the threads.
//
// Compiled once for that unit and once for vectors (AVX512_BF16), where one instruction adds the
// products of a pair of a by a row of b's pairs to 16 sums: twice as many as a multiply-add of
// floats does, so that it pays for one part only.
#include "../kernels/gemm.h"
#include "../runtime/engine.h"

namespace mt::MT_ISA {
namespace {

constexpr int kSide = 16;             // of a tile, in rows, and in pairs of neighbours
constexpr int kTile = kSide * kSide;  // pairs in a tile
constexpr int kStep = 2 * kSide;      // of k
constexpr int kBlock = 2 * kSide;  // rows of a and columns of b that meet in the unit's registers
template <int P>
constexpr int64_t kStretch = 8 / P;  // steps: a block of a and one of b fit the L1 cache
constexpr int64_t kPieceBlocks = 6;  // in a piece of c, at most, along each side
constexpr int64_t kPieces = 16;      // enough to share among threads
#if defined(__AMX_BF16__)
constexpr int64_t kPieceWork = 1 << 22;  // multiplications that are worth waking a thread for
#else
constexpr int64_t kPieceWork = 1 << 19;
#endif
constexpr int64_t kPieceNumbers = 1 << 15;  // to be split, likewise

// --- splitting

typedef __m512i Row;  // of a tile: 16 pairs

inline Row pairs(__m512bh x) { return (Row)x; }
inline __m512 even(Row x) { return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16)); }
inline __m512 odd(Row x) {
  return _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(0xffff0000)));
}

// The parts of 16 pairs (x[i], y[i]).
template <int P>
inline void split(__m512 x, __m512 y, Row (&part)[P]) {
  const Row order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                     23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  part[0] = _mm512_permutexvar_epi16(order, pairs(_mm512_cvtne2ps_pbh(y, x)));
  if constexpr (P == 2) {
    x -= even(part[0]);
    y -= odd(part[0]);
    part[1] = _mm512_permutexvar_epi16(order, pairs(_mm512_cvtne2ps_pbh(y, x)));
  }
}

// The parts of 32 neighbours.
template <int P>
inline void split_row(__m512 x, __m512 y, Row (&part)[P]) {
  part[0] = pairs(_mm512_cvtne2ps_pbh(y, x));
  if constexpr (P == 2) {
    const auto whole = [](__m256i half) {
      return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    };
    x -= whole(_mm512_castsi512_si256(part[0]));
    y -= whole(_mm512_extracti64x4_epi64(part[0], 1));
    part[1] = pairs(_mm512_cvtne2ps_pbh(y, x));
  }
}

inline void turn(Row (&x)[kSide]) {
  Vec<float> v[kSide];
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) v[i] = (Vec<float>)x[i];
  transpose<float>(v);
#pragma GCC unroll 16
  for (int i = 0; i < kSide; ++i) x[i] = (Row)v[i];
}

inline uint32_t lanes(int64_t n) { return n >= 16 ? 0xffff : n > 0 ? (1u << n) - 1 : 0; }

// The tiles, one per part and kTile * 2 apart, of 16 rows and 32 k of x, of which `rows` and
// `depth` exist. Turned, a row of a tile has the same pair of k of all rows.
template <int P, bool turned>
inline void pack_tile(uint32_t* to, Matrix<const float> x, int64_t rows, int64_t depth) {
  Row tile[P][kSide];
  const auto put = [&](int i, const Row(&part)[P]) __attribute__((always_inline)) {
#pragma GCC unroll 2
    for (int q = 0; q < P; ++q)
      turned ? void(tile[q][i] = part[q])
             : _mm512_store_si512(to + 2 * q * kTile + i * kSide, part[q]);
  };
  if (x.col == 1) {
    const uint32_t first = lanes(depth), second = lanes(depth - kSide);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      const float* p = x.p + i * x.row;
      Row part[P] = {};
      if (i < rows)
        split_row<P>(_mm512_maskz_loadu_ps(first, p), _mm512_maskz_loadu_ps(second, p + kSide),
                     part);
      put(i, part);
    }
  } else {
    const uint32_t here = lanes(rows);
#pragma GCC unroll 16
    for (int i = 0; i < kSide; ++i) {
      const float* p = x.p + 2 * i * x.col;
      Row part[P];
      split<P>(_mm512_maskz_loadu_ps(2 * i < depth ? here : 0, p),
               _mm512_maskz_loadu_ps(2 * i + 1 < depth ? here : 0, p + x.col), part);
      put(i, part);
    }
  }
  if constexpr (turned)
    for (int q = 0; q < P; ++q) {
      turn(tile[q]);
#pragma GCC unroll 16
      for (int i = 0; i < kSide; ++i)
        _mm512_store_si512(to + 2 * q * kTile + i * kSide, tile[q][i]);
    }
}

// An operand in tiles: for each stretch of k, for each block of 32 rows, for each step of k, for
// each part, two tiles.
template <int P>
struct Packed {
  Matrix<const float> x;  // rows and k
  int64_t rows, depth, steps;
  bool turned;
  uint32_t* p;

  static constexpr int64_t kStride = 2 * P * kTile;  // of a step
  Packed(Matrix<const float> x, int64_t rows, int64_t depth, bool turned)
      : x(x), rows(rows), depth(depth), steps(ceil_div(depth, kStep)), turned(turned), p(nullptr) {}
  int64_t blocks() const { return ceil_div(rows, kBlock); }
  int64_t size() const { return blocks() * steps * kStride; }
  uint32_t* at(int64_t block, int64_t step) const {
    const int64_t begin = step / kStretch<P> * kStretch<P>;
    const int64_t length = min(kStretch<P>, steps - begin);
    return p + (begin * blocks() + block * length + step - begin) * kStride;
  }

  void pack(int64_t block, int64_t step) const {
    for (int half = 0; half < 2; ++half) {
      const int64_t i = block * kBlock + half * kSide, k = step * kStep;
      const auto tile = turned == (x.col == 1) ? pack_tile<P, true> : pack_tile<P, false>;
      if (i < rows)
        tile(at(block, step) + half * kTile, x.at(i, k), rows - i, depth - k);
      else
        for (int q = 0; q < P; ++q)
          std::memset(at(block, step) + (2 * q + half) * kTile, 0, kTile * sizeof(uint32_t));
    }
  }

  // Piece `piece` of `pieces`, in the order in which memory is read in long runs.
  void pack_piece(int64_t pieces, int64_t piece) const {
    const int64_t begin = cut(blocks(), pieces, piece), end = cut(blocks(), pieces, piece + 1);
    if (x.col == 1) {
      for (int64_t block = begin; block < end; ++block)
        for (int64_t step = 0; step < steps; ++step) pack(block, step);
    } else {
      for (int64_t step = 0; step < steps; ++step)
        for (int64_t block = begin; block < end; ++block) pack(block, step);
    }
  }
};

// --- multiplying

#if defined(__AMX_BF16__)
struct Unit {  // while it lives, this thread has its tiles
  Unit() {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } shape;
    _tile_loadconfig(&shape);
  }
  ~Unit() { _tile_release(); }
  Unit(const Unit&) = delete;
};

constexpr int64_t kRowBytes = kBlock * sizeof(float), kTileBytes = kSide * sizeof(uint32_t);

// sum (32, 32) (+)= a b over some steps
template <int P>
inline void multiply(float* sum, bool first, const uint32_t* a, const uint32_t* b, int64_t steps) {
  if (first) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, sum, kRowBytes);
    _tile_loadd(1, sum + kSide, kRowBytes);
    _tile_loadd(2, sum + kSide * kBlock, kRowBytes);
    _tile_loadd(3, sum + kSide * kBlock + kSide, kRowBytes);
  }
#define MT_FOUR            \
  _tile_dpbf16ps(0, 4, 6); \
  _tile_dpbf16ps(1, 4, 7); \
  _tile_dpbf16ps(2, 5, 6); \
  _tile_dpbf16ps(3, 5, 7);
  for (int64_t s = 0; s < steps; ++s) {
    _tile_loadd(6, b, kTileBytes);
    _tile_loadd(7, b + kTile, kTileBytes);
    if constexpr (P == 2) {
      _tile_loadd(4, a + 2 * kTile, kTileBytes);
      _tile_loadd(5, a + 3 * kTile, kTileBytes);
      MT_FOUR
    }
    _tile_loadd(4, a, kTileBytes);
    _tile_loadd(5, a + kTile, kTileBytes);
    MT_FOUR
    if constexpr (P == 2) {
      _tile_loadd(6, b + 2 * kTile, kTileBytes);
      _tile_loadd(7, b + 3 * kTile, kTileBytes);
      MT_FOUR
    }
    a += 2 * P * kTile;
    b += 2 * P * kTile;
  }
#undef MT_FOUR
  _tile_stored(0, sum, kRowBytes);
  _tile_stored(1, sum + kSide, kRowBytes);
  _tile_stored(2, sum + kSide * kBlock, kRowBytes);
  _tile_stored(3, sum + kSide * kBlock + kSide, kRowBytes);
}
#else
struct Unit {};

// sum (32, 32) (+)= a b over some steps, so many rows at a time
template <int P>
inline void multiply(float* sum, bool first, const uint32_t* a, const uint32_t* b, int64_t steps) {
  constexpr int H = 8;
  for (int row = 0; row < kBlock; row += H, sum += H * kBlock, a += H * kSide) {
    __m512 x[H][2] = {};
    if (!first)
      for (int i = 0; i < H; ++i)
        for (int v = 0; v < 2; ++v) x[i][v] = _mm512_load_ps(sum + i * kBlock + v * kSide);
    for (int64_t s = 0; s < steps; ++s) {
      const uint32_t *left = a + s * 2 * kTile, *right = b + s * 2 * kTile;
      for (int k = 0; k < kSide; ++k, ++left, right += kSide) {
        const __m512bh y[2] = {(__m512bh)_mm512_load_si512(right),
                               (__m512bh)_mm512_load_si512(right + kTile)};
#pragma GCC unroll 8
        for (int i = 0; i < H; ++i) {
          const __m512bh pair = (__m512bh)_mm512_set1_epi32(left[i * kSide]);
#pragma GCC unroll 2
          for (int v = 0; v < 2; ++v) x[i][v] = _mm512_dpbf16_ps(x[i][v], pair, y[v]);
        }
      }
    }
    for (int i = 0; i < H; ++i)
      for (int v = 0; v < 2; ++v) _mm512_store_ps(sum + i * kBlock + v * kSide, x[i][v]);
  }
}
#endif

// A block of c, rows and columns from i and j on, from its sums. Whether all are finite: of what is
// not, x - x is not 0.
inline bool put(const float* sum, int64_t i, int64_t j, const FloatProduct& p) {
  const int rows = min(kBlock, p.m - i), n = min(kBlock, p.n - j);
  const Matrix<float> c = Matrix<float>{p.c, p.c_row, p.c_col}.at(i, j);
  const Matrix<const float> d = Matrix<const float>{p.d, p.d_row, p.d_col}.at(i, j);
  const bool whole = n == kBlock && c.col == 1 && (!d.p || d.row == 0 || d.col == 0);
  Vec<float> more[2] = {};
  Mask<float> bad = {};
  if (whole && d.p && d.col)
    for (int v = 0; v < 2; ++v) more[v] = load(d.p + v * kSide);
  for (int r = 0; r < rows; ++r) {
    if (whole && d.p && !d.col) more[0] = more[1] = splat(d.p[r * d.row]);
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const Vec<float> x = load(sum + r * kBlock + v * kSide);
      bad |= (Mask<float>)(x - x);
      if (whole) store(c.p + r * c.row + v * kSide, x + more[v]);
    }
  }
  if (!whole) finish<float>(sum, kBlock, rows, n, c.p, c.row, c.col, d.p, d.row, d.col);
  return !any<float>(bad);
}

// Blocks of c, rows from..to and columns first..last, in blocks.
template <int P>
bool multiply_blocks(const Packed<P>& a, const Packed<P>& b, const FloatProduct& p, int64_t from,
                     int64_t to, int64_t first, int64_t last) {
  const bool once = a.steps <= kStretch<P>;
  constexpr int64_t size = kBlock * kBlock;
  Scratch<float> sums((once ? 2 : (to - from) * (last - first)) * size);
  bool fine = true;
  Unit unit;
  for (int64_t step = 0; step < max(1, a.steps); step += kStretch<P>) {
    const int64_t steps = min(kStretch<P>, a.steps - step), count = (to - from) * (last - first);
    const bool done = step + steps == a.steps;
    // The sums of a block are put where they belong while the unit is busy with the next one.
    for (int64_t t = 0; t <= count; ++t) {
      const auto sum = [&](int64_t t) { return sums.p + (once ? t % 2 : t) * size; };
      const auto row = [&](int64_t t) { return from + t % (to - from); };
      const auto column = [&](int64_t t) { return first + t / (to - from); };
      if (t < count)
        multiply<P>(sum(t), step == 0, a.at(row(t), step), b.at(column(t), step), steps);
      if (t && done) fine = put(sum(t - 1), row(t - 1) * kBlock, column(t - 1) * kBlock, p) && fine;
    }
  }
  return fine;
}

template <int P>
bool product_parts(const FloatProduct& p) {
  Packed<P> a({p.a, p.a_row, p.a_col}, p.m, p.k, false), b({p.b, p.b_col, p.b_row}, p.n, p.k, true);
  Scratch<uint32_t> left(a.size()), right(b.size());
  a.p = left.p, b.p = right.p;
  // A thread that packs a piece of a will mostly multiply it: both begin with the same share.
  const int64_t parcels = max(1, min(kPieces, (p.m + p.n) * p.k / kPieceNumbers));
  for_chunks(parcels, [&](int64_t parcel) {
    a.pack_piece(parcels, parcel);
    b.pack_piece(parcels, parcel);
  });
  // Pieces of c as even as can be, not larger than the caches ask for, enough for the threads.
  int64_t down = ceil_div(a.blocks(), kPieceBlocks), across = ceil_div(b.blocks(), kPieceBlocks);
  const int64_t wanted = min(kPieces, p.m * p.n * p.k / kPieceWork);
  while (down * across < min(wanted, a.blocks() * b.blocks()))
    a.blocks() * across > b.blocks() * down ? ++down : ++across;
  bool all = true;
  for_chunks(down * across, [&](int64_t piece) {
    const int64_t i = piece / across, j = piece % across;
    const bool ok =
        multiply_blocks<P>(a, b, p, cut(a.blocks(), down, i), cut(a.blocks(), down, i + 1),
                           cut(b.blocks(), across, j), cut(b.blocks(), across, j + 1));
    if (!ok) __atomic_store_n(&all, false, __ATOMIC_RELAXED);
  });
  return all;
}

}  // namespace

bool product(const FloatProduct& p, [[maybe_unused]] int parts) {
#if defined(__AMX_BF16__)
  if (parts == 2) return product_parts<2>(p);
#endif
  return product_parts<1>(p);
}

}  // namespace mt::MT_ISA
