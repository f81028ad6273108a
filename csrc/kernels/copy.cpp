// A contiguous copy of any strided array.
#include "elementwise.h"

namespace mt::MT_ISA {
namespace {

// Rows and columns of a tile: its lines stay in the first-level cache.
constexpr int64_t kTile = 32;

// Rows first to last of out (rows, cols), contiguous, from x with stride 1 down the rows: tile by
// tile, line by line.
template <class T>
void transpose(T* out, const T* x, int64_t cols, int64_t col_stride, int64_t first, int64_t last) {
  for (int64_t r = first; r < last; r += kTile)
    for (int64_t c = 0; c < cols; c += kTile) {
      const int64_t r_end = r + kTile < last ? r + kTile : last,
                    c_end = c + kTile < cols ? c + kTile : cols;
      T tile[kTile][kTile];
      for (int64_t j = c; j < c_end; ++j)
        for (int64_t i = r; i < r_end; ++i) tile[i - r][j - c] = x[j * col_stride + i];
      for (int64_t i = r; i < r_end; ++i)
        std::memcpy(out + i * cols + c, tile[i - r], (c_end - c) * sizeof(T));
    }
}

// out = x. Where the last two axes are a transposed matrix, each such matrix is copied by tiles.
template <class T>
void copy(T* out, const T* x, const Walk& walk) {
  const int last = walk.ndim - 1;
  const bool transposed =
      walk.count > 0 && last > 0 && walk.stride[1][last - 1] == 1 && walk.stride[1][last] != 1;
  if (!transposed) {
    elementwise<T>(walk, [](Vec<T> v) { return v; }, out, x);
    return;
  }
  const int64_t rows = walk.size[last - 1], cols = walk.size[last], stride = walk.stride[1][last];
  const int64_t strips = (rows + kTile - 1) / kTile, strip = kTile * cols;
  for_ranges(walk.count / (rows * cols) * strips, strip < kGrain ? kGrain / strip : 1,
             [&](int64_t begin, int64_t end) {
               for (int64_t s = begin; s < end; ++s) {
                 const int64_t matrix = s / strips, first = s % strips * kTile;
                 int64_t rest = matrix, at = 0;
                 for (int d = last - 2; d >= 0; --d) {
                   at += rest % walk.size[d] * walk.stride[1][d];
                   rest /= walk.size[d];
                 }
                 transpose(out + matrix * rows * cols, x + at, cols, stride, first,
                           first + kTile < rows ? first + kTile : rows);
               }
             });
}

}  // namespace

MT_KERNEL(copy, copy)

}  // namespace mt::MT_ISA
