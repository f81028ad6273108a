// A contiguous copy of any strided array.
#include "elementwise.h"

namespace mt::MT_ISA {
namespace {

// Rows and columns of a tile: its lines stay in the first-level cache.
constexpr int64_t kTile = 32;

// Four vectors of four numbers, transposed.
template <class T>
struct FourOf {
  typedef T type __attribute__((vector_size(4 * sizeof(T))));
  typedef decltype(type{} < type{}) index;
};

// out[0..3][0..3] = x[0..3][0..3] transposed; rows of x are x_step apart, of out out_step.
template <class T>
inline void turn_four(T* out, int64_t out_step, const T* x, int64_t x_step) {
  using V = typename FourOf<T>::type;
  using I = typename FourOf<T>::index;
  V a[4];
  for (int k = 0; k < 4; ++k) std::memcpy(&a[k], x + k * x_step, sizeof(V));
#if defined(__clang__)
  const V p = __builtin_shufflevector(a[0], a[1], 0, 4, 1, 5);
  const V q = __builtin_shufflevector(a[2], a[3], 0, 4, 1, 5);
  const V r = __builtin_shufflevector(a[0], a[1], 2, 6, 3, 7);
  const V s = __builtin_shufflevector(a[2], a[3], 2, 6, 3, 7);
  const V b[4] = {
      __builtin_shufflevector(p, q, 0, 1, 4, 5), __builtin_shufflevector(p, q, 2, 3, 6, 7),
      __builtin_shufflevector(r, s, 0, 1, 4, 5), __builtin_shufflevector(r, s, 2, 3, 6, 7)};
#else
  const V p = __builtin_shuffle(a[0], a[1], I{0, 4, 1, 5});
  const V q = __builtin_shuffle(a[2], a[3], I{0, 4, 1, 5});
  const V r = __builtin_shuffle(a[0], a[1], I{2, 6, 3, 7});
  const V s = __builtin_shuffle(a[2], a[3], I{2, 6, 3, 7});
  const V b[4] = {__builtin_shuffle(p, q, I{0, 1, 4, 5}), __builtin_shuffle(p, q, I{2, 3, 6, 7}),
                  __builtin_shuffle(r, s, I{0, 1, 4, 5}), __builtin_shuffle(r, s, I{2, 3, 6, 7})};
#endif
  for (int k = 0; k < 4; ++k) std::memcpy(out + k * out_step, &b[k], sizeof(V));
}

// A number that the compiler knows.
template <int64_t n>
struct Exactly {
  constexpr operator int64_t() const { return n; }
};

// out (rows, cols), contiguous: rows of `cols` elements of x, `step` apart, the rows `next` apart
template <class T>
inline void short_rows(T* out, const T* x, int64_t rows, int64_t next, int64_t cols, int64_t step) {
  if (step == 1 && cols >= kLanes<T>) {
    for (int64_t r = 0; r < rows; ++r, x += next, out += cols) {
      int64_t i = 0;
      for (; i + kLanes<T> <= cols; i += kLanes<T>) store(out + i, load(x + i));
      if (i < cols) store(out + cols - kLanes<T>, load(x + cols - kLanes<T>));
    }
    return;
  }
  const auto copy = [&](auto count) {
    for (int64_t r = 0; r < rows; ++r, x += next, out += cols)
      for (int64_t i = 0; i < count; ++i) out[i] = x[i * step];
  };
  if (cols == 2)
    copy(Exactly<2>{});
  else if (cols == 3)
    copy(Exactly<3>{});
  else if (cols == 4)
    copy(Exactly<4>{});
  else
    copy(cols);
}

// Rows first to last of out (rows, cols), contiguous, from x with stride 1 down the rows: tile by
// tile, four by four.
template <class T>
void transpose(T* out, const T* x, int64_t cols, int64_t col_stride, int64_t first, int64_t last) {
  if (cols < 4) {
    short_rows(out + first * cols, x + first, last - first, 1, cols, col_stride);
    return;
  }
  for (int64_t c = 0; c < cols; c += kTile) {
    const int64_t c_end = c + kTile < cols ? c + kTile : cols;
    for (int64_t r = first; r < last; r += 4) {
      int64_t j = c;
      if (r + 4 <= last)
        for (; j + 4 <= c_end; j += 4)
          turn_four(out + r * cols + j, cols, x + j * col_stride + r, col_stride);
      for (; j < c_end; ++j)
        for (int64_t i = r; i < r + 4 && i < last; ++i) out[i * cols + j] = x[j * col_stride + i];
    }
  }
}

// out = x. Where the last two axes are a transposed matrix, each such matrix is copied by tiles.
template <class T>
void copy(T* out, const T* x, const Walk& walk) {
  const int last = walk.ndim - 1;
  const bool transposed =
      walk.count > 0 && last > 0 && walk.stride[1][last - 1] == 1 && walk.stride[1][last] != 1;
  if (!transposed && last > 0 && walk.size[last] < kLongRow && walk.count > 0) {
    const int64_t cols = walk.size[last], rows = walk.size[last - 1];
    const int64_t next = walk.stride[1][last - 1], step = walk.stride[1][last];
    for_ranges(walk.count / cols, even_grain(walk.count) / cols + 1,
               [&](int64_t begin, int64_t end) {
                 while (begin < end) {
                   const Place<1> place(walk, begin * cols);
                   const int64_t left = rows - place.index[last - 1];
                   const int64_t n = left < end - begin ? left : end - begin;
                   short_rows(out + begin * cols, x + place.offset[1], n, next, cols, step);
                   begin += n;
                 }
               });
    return;
  }
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

// out (outer, width[0] + width[1] + ...) = the x[k] (outer, width[k]) side by side.
template <class T>
void cat(T* out, const T* const* x, const int64_t* width, int64_t count, int64_t outer) {
  int64_t total = 0;
  for (int64_t k = 0; k < count; ++k) total += width[k];
  if (outer * total == 0) return;
  bool single = count < kLongRow;  // elements, as where a new last axis joins them
  for (int64_t k = 0; k < count; ++k) single = single && width[k] == 1;
  if (single) {
    for_ranges(outer, kGrain / count + 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = 0; k < count; ++k)
        for (int64_t r = begin; r < end; ++r) out[r * count + k] = x[k][r];
    });
    return;
  }
  // A row at a time, or long rows in pieces; a thread takes kGrain elements.
  const int64_t pieces = (total + kGrain - 1) / kGrain, piece = (total + pieces - 1) / pieces;
  for_ranges(outer * pieces, total < kGrain ? kGrain / total : 1, [&](int64_t first, int64_t last) {
    for (int64_t p = first; p < last; ++p) {
      const int64_t row = p / pieces, begin = p % pieces * piece;
      const int64_t end = begin + piece < total ? begin + piece : total;
      int64_t at = 0;  // where x[k] begins in the row
      for (int64_t k = 0; k < count && at < end; at += width[k++]) {
        const int64_t from = begin > at ? begin - at : 0;
        const int64_t to = end - at < width[k] ? end - at : width[k];
        if (from < to)
          std::memcpy(out + row * total + at + from, x[k] + row * width[k] + from,
                      (to - from) * sizeof(T));
      }
    }
  });
}

// out = x, where the output has strides too: operand 2 of the walk; x is operand 1
template <class T>
void put(T* out, const T* x, const Walk& walk) {
  const int last = walk.ndim - 1;
  const int64_t from = walk.stride[1][last], to = walk.stride[2][last];
  for_ranges(walk.count, even_grain(walk.count), [&](int64_t begin, int64_t end) {
    Place<2> place(walk, begin);
    while (begin < end) {
      int64_t n = place.left_in_row();
      if (n > end - begin) n = end - begin;
      T* y = out + place.offset[2];
      const T* at = x + place.offset[1];
      if (to == 1)
        copy_row(y, at, from, n);
      else
        for (int64_t i = 0; i < n; ++i) y[i * to] = at[i * from];
      place.advance(n);
      begin += n;
    }
  });
}

// out = x of `count` matrices (rows, cols), but 0 above the diagonal or, if `upper`, below it
template <class T>
void triangle(T* out, const T* x, int64_t count, int64_t rows, int64_t cols, int64_t diagonal,
              bool upper) {
  for_ranges(count * rows, kGrain / (cols + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t edge = r % rows + diagonal + !upper;  // columns of the lower part
      edge = edge < 0 ? 0 : edge > cols ? cols : edge;
      T* to = out + r * cols;
      const T* from = x + r * cols;
      if (upper) {
        std::memset(to, 0, edge * sizeof(T));
        std::memcpy(to + edge, from + edge, (cols - edge) * sizeof(T));
      } else {
        std::memcpy(to, from, edge * sizeof(T));
        std::memset(to + edge, 0, (cols - edge) * sizeof(T));
      }
    }
  });
}

// f(Element{}, its numbers) for what an array holds
template <class F>
inline void by_element(Element type, const F& f) {
  if (type == kByte)
    f(uint8_t{});
  else if (type == kInt32)
    f(int32_t{});
  else if (type == kInt64)
    f(int64_t{});
  else if (type == kFloat)
    f(float{});
  else
    f(double{});
}

// out = x in another type; of bytes, which are 0 or 1, whether it is 0
template <class T>
void cast_from(T* out, const void* x, Element type, int64_t n) {
  by_element(type, [&](auto element) {
    const auto* from = static_cast<const decltype(element)*>(x);
    for_ranges(n, even_grain(n), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(from[i]);
    });
  });
}
template <class T>
void cast_to(void* out, const T* x, Element type, int64_t n) {
  by_element(type, [&](auto element) {
    using To = decltype(element);
    auto* to = static_cast<To*>(out);
    for_ranges(n, even_grain(n), [&](int64_t begin, int64_t end) {
      if (sizeof(To) == 1)
        for (int64_t i = begin; i < end; ++i) to[i] = x[i] != 0;
      else
        for (int64_t i = begin; i < end; ++i) to[i] = static_cast<To>(x[i]);
    });
  });
}

}  // namespace

MT_KERNEL(copy, copy)
MT_KERNEL(cat, cat)
MT_KERNEL(put, put)
MT_KERNEL(triangle, triangle)
MT_KERNEL(cast_from, cast_from)
MT_KERNEL(cast_to, cast_to)

}  // namespace mt::MT_ISA
