// Kernels of 3x3 at stride 1 by Winograd's minimal filtering, F(2x2, 3x3):
//
//     y = A^T [ sum over c of (G w G^T) * (B^T d B) ] A        * element by element
//
// for the 2x2 pixels of y that see the 4x4 pixels d of x. A sum takes 16 products instead of 36; in
// between stand 16 matrix products (o, c) by (c, tiles). The transforms add, subtract and halve:
//
//     B^T d = (d0 - d2, d1 + d2, d2 - d1, d1 - d3)      A^T m = (m0 + m1 + m2, m1 - m2 - m3)
//     G w = (w0, (w0 + w1 + w2) / 2, (w0 - w1 + w2) / 2, w2)
//
// so that what is exact on small integers by the plain sum is exact here, and the error is the
// plain sum's or smaller, for each sum is 9 times shorter. Infinities would meet in the transforms;
// where a result is not finite, all is done the other way. A. Lavin and S. Gray, "Fast algorithms
// for convolutional neural networks", 2015.
#pragma once

#include "../kernels.h"
#include "gemm.h"

namespace mt::MT_ISA {
namespace {

// y (n, groups * m, oh, ow) of x (n, groups * k, h, w)
struct Winograd {
  int64_t n, groups, m, k, h, w, oh, ow, ph, pw;

  int64_t down() const { return ceil_div(oh, 2); }  // tiles
  int64_t across() const { return ceil_div(ow, 2); }
  int64_t tiles() const { return down() * across(); }  // of an image
  int64_t work() const { return groups * m * k * n * tiles() * 16; }
  // Whether the products saved outweigh the transforms.
  bool pays() const { return m >= 8 && k >= 8 && m * k >= 5 * (m + k) && ph >= 0 && pw >= 0; }
};

// Whether a convolution is of this kind.
bool three_by_three(const ConvSizes& s) {
  return s.kh == 3 && s.kw == 3 && s.sh == 1 && s.sw == 1 && s.dh == 1 && s.dw == 1;
}

constexpr int kTaps = 9, kPoints = 16;
constexpr int64_t kSumDepth = 64;  // channels in one sum: several short ones have smaller errors

// The even, or the odd, elements of a and b.
template <class T>
inline Vec<T> every_other(Vec<T> a, Vec<T> b, int first) {
  constexpr int L = kLanes<T>;
#if defined(__clang__)
  Vec<T> v;
  for (int i = 0; i < L; ++i) v[i] = 2 * i + first < L ? a[2 * i + first] : b[2 * i + first - L];
  return v;
#else
  Mask<T> index;
  for (int i = 0; i < L; ++i) index[i] = 2 * i + first;
  return __builtin_shuffle(a, b, index);
#endif
}

// --- the weights -------------------------------------------------------------------------------

// u[xi][k][i] = (G w_ik G^T)[xi], of h rows i and s.k terms k: element (i, k) of w begins at
// w + i * row + k * col. `turned` reads its taps from the last to the first.
template <class T>
void winograd_weights(T* u, const T* w, int64_t row, int64_t col, int h, int64_t depth,
                      bool turned) {
  constexpr int L = kLanes<T>;
  for (int i = 0; i < h; i += L) {
    const int high = min(L, h - i);
    for (int64_t k = 0; k < depth; ++k) {
      // Nine taps of L rows: squares of vectors turned over.
      T taps[(kTaps + L - 1) / L * L * L];
      for (int t = 0; t < kTaps; t += L) {
        const int wide = min(L, kTaps - t);
        Vec<T> x[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r)
          x[r] = r < high ? load_n(w + (i + r) * row + k * col + t, wide) : Vec<T>{};
        transpose<T>(x);
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) store(taps + (t + r) * L, x[r]);
      }
      Vec<T> v[4][3];  // G w
#pragma GCC unroll 3
      for (int b = 0; b < 3; ++b) {
        Vec<T> w[3];
#pragma GCC unroll 3
        for (int a = 0; a < 3; ++a) w[a] = load(taps + (turned ? 8 - 3 * a - b : 3 * a + b) * L);
        const Vec<T> even = (w[0] + w[2]) * T(0.5), odd = w[1] * T(0.5);
        v[0][b] = w[0], v[1][b] = even + odd, v[2][b] = even - odd, v[3][b] = w[2];
      }
#pragma GCC unroll 4
      for (int a = 0; a < 4; ++a) {
        const Vec<T> even = (v[a][0] + v[a][2]) * T(0.5), odd = v[a][1] * T(0.5);
        T* to = u + (4 * a * depth + k) * h + i;
        store_n(to, v[a][0], high);
        store_n(to + depth * h, even + odd, high);
        store_n(to + 2 * depth * h, even - odd, high);
        store_n(to + 3 * depth * h, v[a][2], high);
      }
    }
  }
}

// --- the image ---------------------------------------------------------------------------------

// Lanes of a vector of tiles that lie side by side: where in the transformed rows lane 0 would be,
// or where in y the first one's pixels go, and how many pixels there are.
struct Piece {
  int lane;
  int64_t at;
  int wide, high;
};

// The tiles first..end-1 of all images, and the rows that they see.
struct TileBlock {
  int64_t first, end, across, per_image;
  int64_t image, images;  // the first that has some, and how many have
  int64_t lines;          // rows of tiles, in the image that has most
  TileBlock(const Winograd& s, int64_t first, int64_t end)
      : first(first), end(end), across(s.across()), per_image(s.tiles()) {
    image = first / per_image, images = (end - 1) / per_image + 1 - image;
    lines = images > 1 ? s.down() : last_line(image) - first_line(image);
  }
  int64_t first_line(int64_t i) const { return max(0, first - i * per_image) / across; }
  int64_t last_line(int64_t i) const {
    return ceil_div(min(per_image, end - i * per_image), across);
  }
  // Of one phase of rows and one column; whole vectors are written, and read.
  int64_t plane() const { return (lines + 1) * across + kSpare; }
  int64_t size() const { return images * 8 * plane(); }
  int64_t padded_plane() const { return (lines + 1) * 2 * across + 2 * kSpare; }
  int64_t padded_size() const { return images * 4 * padded_plane(); }
  static constexpr int64_t kSpare = 64 / sizeof(float);  // a vector's lanes, at most
};

// rows[image][phase of the row][column of B^T][line][tile] = (d B) of one channel.
//
// Its padded rows are laid out first, those of a phase one behind another, from column 0 and once
// more from column 2: so the tiles of all lines fill vectors, however short the lines are. The
// padding is never written, and is 0 from the start.
template <class T>
void transform_rows(T* rows, T* padded, const T* x, int64_t x_step, const Winograd& s,
                    const TileBlock& block) {
  constexpr int L = kLanes<T>;
  const int64_t across = block.across, plane = block.plane(), size = block.padded_plane();
  for (int64_t n = 0; n < block.images; ++n) {
    const int64_t image = block.image + n, first = 2 * block.first_line(image);
    const int64_t from = max(first, s.ph), end = min(2 * block.last_line(image) + 2, s.h + s.ph);
    for (int64_t r = from; r < end; ++r) {
      const T* in = x + image * x_step + (r - s.ph) * s.w;
      for (int64_t column = 0; column <= 2; column += 2) {
        T* to = padded + (4 * n + r % 2 * 2 + column / 2) * size + (r - first) / 2 * 2 * across;
        const int64_t left = max(0, column - s.pw), right = max(0, s.pw - column);
        const int64_t count = min(s.w - left, 2 * across - right);
        for (int64_t j = 0; j < count; j += L) {
          const int lanes = min(L, count - j);
          store_n(to + right + j, load_n(in + left + j, lanes), lanes);
        }
      }
    }
  }
  for (int64_t n = 0; n < 2 * block.images; ++n) {  // and phases
    const T *left = padded + 2 * n * size, *right = left + size;
    T* out = rows + 4 * n * plane;
    const int64_t image = block.image + n / 2;
    const int64_t tiles = (block.last_line(image) - block.first_line(image) + 1) * across;
    for (int64_t t = 0; t < tiles; t += L) {
      const Vec<T> a = load(left + 2 * t), b = load(left + 2 * t + L);
      const Vec<T> c = load(right + 2 * t), d = load(right + 2 * t + L);
      const Vec<T> d0 = every_other<T>(a, b, 0), d1 = every_other<T>(a, b, 1);
      const Vec<T> d2 = every_other<T>(c, d, 0), d3 = every_other<T>(c, d, 1);
      store(out + t, d0 - d2);
      store(out + plane + t, d1 + d2);
      store(out + 2 * plane + t, d2 - d1);
      store(out + 3 * plane + t, d1 - d3);
    }
  }
}

// Where the L tiles from t on begin in the transformed rows, image by image.
template <class T>
int pieces_of_rows(Piece* piece, const TileBlock& block, int64_t t) {
  int count = 0;
  for (int lane = 0; lane < kLanes<T> && t + lane < block.end;) {
    const int64_t image = (t + lane) / block.per_image, tile = (t + lane) % block.per_image;
    const int64_t n = image - block.image;
    piece[count].lane = lane;
    piece[count].at = 8 * n * block.plane() + tile - block.first_line(image) * block.across - lane;
    lane += min(kLanes<T> - lane, block.per_image - tile);
    ++count;
  }
  return count;
}

// v[xi * step + j] = (B^T d B)[xi] of L tiles of one channel
template <class T>
void transform_columns(T* v, int64_t step, const T* rows, const TileBlock& block,
                       const Piece* piece, int count) {
  const int64_t plane = block.plane();
#pragma GCC unroll 4
  for (int b = 0; b < 4; ++b) {
    const T* in = rows + b * plane;
    Vec<T> d[4];
#pragma GCC unroll 4
    for (int a = 0; a < 4; ++a) {
      const T* row = in + a % 2 * 4 * plane + a / 2 * block.across;
      d[a] = load(row + piece[0].at);
      for (int p = 1; p < count; ++p)
        d[a] = select<T>(first_lanes<T>(piece[p].lane), d[a], load(row + piece[p].at));
    }
    store(v + b * step, d[0] - d[2]);
    store(v + (4 + b) * step, d[1] + d[2]);
    store(v + (8 + b) * step, d[2] - d[1]);
    store(v + (12 + b) * step, d[1] - d[3]);
  }
}

// --- the output --------------------------------------------------------------------------------

// Where the L tiles from t on go in y, line by line; their upper left pixels.
template <class T>
int pieces_of_y(Piece* piece, const Winograd& s, int64_t y_step, int64_t t, int64_t end) {
  int count = 0;
  const int64_t across = s.across(), per_image = s.tiles();
  for (int lane = 0; lane < kLanes<T> && t + lane < end;) {
    const int64_t image = (t + lane) / per_image, tile = (t + lane) % per_image;
    const int64_t i = tile / across, j = tile % across;
    const int run = min(min(kLanes<T> - lane, end - t - lane), across - j);
    piece[count].lane = lane;
    piece[count].at = image * y_step + 2 * i * s.ow + 2 * j;
    piece[count].wide = min(2 * run, s.ow - 2 * j), piece[count].high = min(2, s.oh - 2 * i);
    lane += run, ++count;
  }
  return count;
}

// The 2x2 pixels of L tiles of one channel: A^T m A + bias. `zero` stays 0 while they are finite;
// lanes beyond the last tile do not count.
template <class T>
inline void transform_out(T* y, const T* m, int64_t step, T bias, const Winograd& s,
                          const Piece* piece, int count, int lanes, Vec<T>& zero) {
  constexpr int L = kLanes<T>;
  Vec<T> up[4], low[4];
#pragma GCC unroll 4
  for (int b = 0; b < 4; ++b) {
    const Vec<T> m0 = load(m + b * step), m1 = load(m + (4 + b) * step),
                 m2 = load(m + (8 + b) * step), m3 = load(m + (12 + b) * step);
    up[b] = m0 + (m1 + m2);
    low[b] = (m1 - m2) - m3;
  }
  const auto put_row = [&](const Vec<T>(&c)[4], int below) {
    const Vec<T> left = c[0] + (c[1] + c[2]) + bias, right = (c[1] - c[2]) - c[3] + bias;
    const Vec<T> none = left * 0 + right * 0;
    zero += lanes == L ? none : select<T>(first_lanes<T>(lanes), none, Vec<T>{});
    const Vec<T> a = interleave<T>(left, right, 0), b = interleave<T>(left, right, L / 2);
    if (piece[0].wide == 2 * L) {
      if (below >= piece[0].high) return;
      store(y + piece[0].at + below * s.ow, a);
      store(y + piece[0].at + below * s.ow + L, b);
      return;
    }
#if defined(__AVX512F__) && !defined(__clang__)
    for (int p = 0; p < count; ++p) {
      if (below >= piece[p].high) continue;
      const int n = piece[p].wide;
      T* out = y + piece[p].at + below * s.ow;
      Mask<T> index;
      for (int i = 0; i < L; ++i) index[i] = i;
      index += 2 * piece[p].lane;
      store_n(out, __builtin_shuffle(a, b, index), min(n, L));
      if (n > L) store_n(out + L, __builtin_shuffle(a, b, index + L), n - L);
    }
#else
    T pixels[4 * L];
    store(pixels, a);
    store(pixels + L, b);
    for (int p = 0; p < count; ++p) {
      if (below >= piece[p].high) continue;
      const int n = piece[p].wide;
      T* out = y + piece[p].at + below * s.ow;
      const T* from = pixels + 2 * piece[p].lane;
      store_n(out, load(from), min(n, L));
      if (n > L) store_n(out + L, load(from + L), n - L);
    }
#endif
  };
  put_row(up, 0);
  put_row(low, 1);
}

// --- all of it ---------------------------------------------------------------------------------

// y = the convolution of x with the transformed weights u + bias: slivers of a group's m outputs,
// one behind another. False if a result, or what it came from, is not finite.
template <class T>
bool winograd(T* y, const T* x, const T* u, const T* bias, const Winograd& s) {
  constexpr int W = kTileCols<T>, L = kLanes<T>;
  const int64_t total = s.n * s.tiles(), strips = ceil_div(total, W), slices = slivers(s.m);
  const int64_t x_step = s.groups * s.k * s.h * s.w, y_step = s.groups * s.m * s.oh * s.ow;
  const int64_t depths = ceil_div(s.k, kSumDepth);
  const int64_t point = s.k * W + L;  // one vector more: a power of two would meet in the cache
  const int64_t fit = max(1, kPanelBytes / int64_t(sizeof(T)) / (kPoints * point));
  const int64_t wanted = min(kChunks, s.work() / s.groups / kChunkWork);
  const int64_t fitting = ceil_div(strips, fit), many = max(fitting, min(strips, wanted));
  const bool apart = s.groups * many > 1 || s.work() < 2 * kChunkWork;
  const int64_t blocks = apart ? many : fitting;
  bool finite = true;

  // v[strip][xi][channel][tile] of the channels first..last-1 of group q
  const auto transform = [&](T* v, const TileBlock& block, int64_t q, int64_t first, int64_t last) {
    const int64_t vectors = ceil_div(block.end - block.first, L);
    Scratch<T> rows(block.size() + 4 * L), padded(block.padded_size());
    Scratch<Piece> pieces(vectors * L);
    Scratch<int> counts(vectors);
    for (int64_t i = 0; i < vectors; ++i)
      counts.p[i] = pieces_of_rows<T>(pieces.p + i * L, block, block.first + i * L);
    std::memset(padded.p, 0, block.padded_size() * sizeof(T));
    // Lanes beyond the last tile are dropped, but what is left in memory may be slow to multiply.
    std::memset(rows.p, 0, (block.size() + 4 * L) * sizeof(T));

    for (int64_t c = first; c < last; ++c) {
      transform_rows(rows.p, padded.p, x + (q * s.k + c) * s.h * s.w, x_step, s, block);
      for (int64_t i = 0; i < vectors; ++i)
        transform_columns(v + i * L / W * kPoints * point + c * W + i * L % W, point, rows.p, block,
                          pieces.p + i * L, counts.p[i]);
    }
  };
  // The slivers first..last-1 of group q.
  const auto multiply = [&](const T* v, const TileBlock& block, int64_t q, int64_t first,
                            int64_t last) {
    alignas(64) T products[kPoints * kTileRows * W];
    Piece piece[2][L];
    Vec<T> zero = {};
    for (int64_t t = first; t < last; ++t) {
      const int64_t i = sliver(s.m, t);
      const T* a = u + (q * s.m + i) * kPoints * s.k;
      with<kTileRows>(sliver(s.m, t + 1) - i, [&](auto height) {
        constexpr int H = decltype(height)::value;
        for (int64_t begin = block.first; begin < block.end; begin += W) {
          const T* right = v + (begin - block.first) / W * kPoints * point;
          const int n = min(W, block.end - begin);
          const auto run = [&](auto vectors) {
            constexpr int NV = decltype(vectors)::value;
            for (int xi = 0; xi < kPoints; ++xi)
              for (int64_t part = 0; part < depths; ++part) {
                const int64_t k = cut(s.k, depths, part), end = cut(s.k, depths, part + 1);
                const Matrix<T> c{products + xi * H * W, W, 1};
                tile<H, NV, T>(end - k, ByColumn<T>{a + (xi * s.k + k) * H, H},
                               Steps<T>{right + xi * point + k * W, W}, NV * L, c,
                               part ? Matrix<const T>{c.p, W, 1} : Matrix<const T>{});
              }
            for (int part = 0; part < NV; ++part) {
              const int count = pieces_of_y<T>(piece[part], s, y_step, begin + part * L, block.end);
              for (int l = 0; l < H; ++l) {
                const int64_t o = q * s.m + i + l;
                transform_out(y + o * s.oh * s.ow, products + l * W + part * L, H * W,
                              bias ? bias[o] : T(0), s, piece[part], count, min(L, n - part * L),
                              zero);
              }
            }
          };
          n > L ? run(Int<2>{}) : run(Int<1>{});
        }
      });
    }
    if (sum<T>(zero) != 0) __atomic_store_n(&finite, false, __ATOMIC_RELAXED);
  };
  const auto block_of = [&](int64_t b) {
    return TileBlock(s, cut(strips, blocks, b) * W, min(total, cut(strips, blocks, b + 1) * W));
  };
  const int64_t most = ceil_div(strips, blocks) * kPoints * point;
  if (apart) {
    for_chunks(s.groups * blocks, [&](int64_t chunk) {
      const int64_t q = chunk / blocks;
      const TileBlock block = block_of(chunk % blocks);
      Scratch<T> v(most);
      transform(v.p, block, q, 0, s.k);
      multiply(v.p, block, q, 0, slices);
    });
    return finite;
  }
  // Few tiles: the threads share channels and outputs instead.
  const int64_t parts = min(4, ceil_div(s.k, 8)), shares = min(8, slices);
  Scratch<T> v(most);
  for (int64_t chunk = 0; chunk < s.groups * blocks; ++chunk) {
    const int64_t q = chunk / blocks;
    const TileBlock block = block_of(chunk % blocks);
    for_chunks(parts, [&](int64_t p) {
      transform(v.p, block, q, cut(s.k, parts, p), cut(s.k, parts, p + 1));
    });
    for_chunks(shares, [&](int64_t p) {
      multiply(v.p, block, q, cut(slices, shares, p), cut(slices, shares, p + 1));
    });
  }
  return finite;
}

// The same from the weights themselves: output i of a group and channel k of it begin at
// w + group * w_step + i * row + k * col.
template <class T>
bool winograd_from(T* y, const T* x, const T* w, int64_t w_step, int64_t row, int64_t col,
                   bool turned, const T* bias, const Winograd& s) {
  const int64_t slices = slivers(s.m);
  Scratch<T> u(s.groups * s.m * kPoints * s.k);
  for_ranges(s.groups * slices, ceil_div(kChunkWork / 16, s.k * 16 * kTileRows),
             [&](int64_t from, int64_t to) {
               for (int64_t t = from; t < to; ++t) {
                 const int64_t q = t / slices, i = sliver(s.m, t % slices),
                               end = sliver(s.m, t % slices + 1);
                 winograd_weights(u.p + (q * s.m + i) * kPoints * s.k, w + q * w_step + i * row,
                                  row, col, end - i, s.k, turned);
               }
             });
  return winograd(y, x, u.p, bias, s);
}

}  // namespace
}  // namespace mt::MT_ISA
