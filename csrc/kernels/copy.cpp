// A contiguous copy of any strided array.
#include "elementwise.h"

namespace mt::MT_ISA {
namespace {

// Rows and columns of a tile: its lines stay in the first-level cache.
constexpr int64_t kTile = 32;

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Four vectors of four numbers, transposed.
template <class T>
struct FourOf {
  typedef T type __attribute__((vector_size(4 * sizeof(T))));
  typedef decltype(type{} < type{}) index;
};

// out[0..rows-1][0..3] = x[0..cols-1][0..3] transposed; rows of x are x_step apart, of out
// out_step. What has no x is not meant to last.
template <class T>
inline void turn_four(T* out, int64_t out_step, const T* x, int64_t x_step, int64_t rows,
                      int64_t cols) {
  using V = typename FourOf<T>::type;
  V a[4] = {};
  for (int k = 0; k < 4; ++k)
    if (k < cols) std::memcpy(&a[k], x + k * x_step, sizeof(V));
#if defined(__clang__)
  const V p = __builtin_shufflevector(a[0], a[1], 0, 4, 1, 5);
  const V q = __builtin_shufflevector(a[2], a[3], 0, 4, 1, 5);
  const V r = __builtin_shufflevector(a[0], a[1], 2, 6, 3, 7);
  const V s = __builtin_shufflevector(a[2], a[3], 2, 6, 3, 7);
  const V b[4] = {
      __builtin_shufflevector(p, q, 0, 1, 4, 5), __builtin_shufflevector(p, q, 2, 3, 6, 7),
      __builtin_shufflevector(r, s, 0, 1, 4, 5), __builtin_shufflevector(r, s, 2, 3, 6, 7)};
#else
  using I = typename FourOf<T>::index;
  const V p = __builtin_shuffle(a[0], a[1], I{0, 4, 1, 5});
  const V q = __builtin_shuffle(a[2], a[3], I{0, 4, 1, 5});
  const V r = __builtin_shuffle(a[0], a[1], I{2, 6, 3, 7});
  const V s = __builtin_shuffle(a[2], a[3], I{2, 6, 3, 7});
  const V b[4] = {__builtin_shuffle(p, q, I{0, 1, 4, 5}), __builtin_shuffle(p, q, I{2, 3, 6, 7}),
                  __builtin_shuffle(r, s, I{0, 1, 4, 5}), __builtin_shuffle(r, s, I{2, 3, 6, 7})};
#endif
  for (int k = 0; k < 4; ++k)
    if (k < rows) std::memcpy(out + k * out_step, &b[k], sizeof(V));
}

// A number that the compiler knows.
template <int64_t n>
struct Exactly {
  constexpr operator int64_t() const { return n; }
};

// Rows of numbers: the rows `next` apart, the numbers of each `step`.
template <class T>
struct Rows {
  T* at;
  int64_t next, step;
};

// out = x, `rows` rows of `cols` numbers. `ahead`: what lies beyond a row's end is written next.
template <class T>
inline void move_rows(Rows<T> out, Rows<const T> x, int64_t rows, int64_t cols, bool ahead) {
  if (out.step == 1 && x.step == 1 && cols >= kLanes<T>) {
    for (; rows > 0; --rows, out.at += out.next, x.at += x.next) {
      int64_t i = 0;
      for (; i + kLanes<T> <= cols; i += kLanes<T>) {
        if (ahead) will_write(out.at + i, kLanes<T>);
        store(out.at + i, load(x.at + i));
      }
      if (i < cols) store(out.at + cols - kLanes<T>, load(x.at + cols - kLanes<T>));
    }
    return;
  }
  if (out.step == 1 && x.step == 1 && cols >= 4) {
    for (; rows > 0; --rows, out.at += out.next, x.at += x.next) move_row(out.at, x.at, cols);
    return;
  }
  if (out.step == 1 && cols >= kLanes<T>) {
    for (; rows > 0; --rows, out.at += out.next, x.at += x.next) {
      if (ahead) will_write(out.at, cols);
      copy_row(out.at, x.at, x.step, cols);
    }
    return;
  }
  if (x.step == 0 && out.step == 1 && out.next == cols) {
    // A vector over the rows that come next, but not over the end.
    for (; rows * cols >= kLanes<T> + cols; --rows, out.at += cols, x.at += x.next)
      store(out.at, splat(*x.at));
  }
  const auto move = [&](auto count) {
    for (; rows > 0; --rows, out.at += out.next, x.at += x.next)
      for (int64_t i = 0; i < count; ++i) out.at[i * out.step] = x.at[i * x.step];
  };
  if (cols == 1)
    move(Exactly<1>{});
  else if (cols == 2)
    move(Exactly<2>{});
  else if (cols == 3)
    move(Exactly<3>{});
  else if (cols == 4)
    move(Exactly<4>{});
  else
    move(cols);
}

// Rows first to last, columns from to end, of out (rows, cols), whose rows are out_step apart and
// contiguous, from x with stride 1 down the rows: tile by tile, four by four. Less than four
// columns are whole rows, and follow each other.
template <class T>
void transpose(T* out, int64_t out_step, const T* x, int64_t cols, int64_t col_stride,
               int64_t first, int64_t last, int64_t from, int64_t end) {
  if (cols < 4) {
    int64_t r = first;  // each row is written as four numbers, and then the next
    for (; r + 4 < last; r += 4) turn_four(out + r * cols, cols, x + r, col_stride, 4, cols);
    for (; r < last; ++r)
      for (int64_t j = 0; j < cols; ++j) out[r * cols + j] = x[j * col_stride + r];
    return;
  }
  for (int64_t c = from; c < end; c += kTile) {
    const int64_t c_end = c + kTile < end ? c + kTile : end;
    for (int64_t r = first; r < last; r += 4) {
      const int64_t rows = last - r < 4 ? last - r : 4;
      int64_t j = c;
      // Of fewer rows four are read where they lie in front of the next column's last.
      const int64_t whole = rows == 4                   ? c_end
                            : r + 4 > last + col_stride ? c
                                                        : least(c_end, cols - 1);
      for (; j + 4 <= whole; j += 4)
        turn_four(out + r * out_step + j, out_step, x + j * col_stride + r, col_stride, rows, 4);
      for (; j < c_end; ++j)
        for (int64_t i = r; i < r + rows; ++i) out[i * out_step + j] = x[j * col_stride + i];
    }
  }
}

// out = x, where the output has strides too. Threads share long rows, and else take whole ones.
template <class T>
void put(T* out, const T* x, const Walk& walk) {
  const int last = walk.ndim - 1, before = last > 0 ? last - 1 : 0;
  const int64_t width = walk.size[last];
  if (walk.count == 0) return;
  const bool whole = last > 0 && width < kGrain;
  const int axis = whole ? before : last;
  const int64_t unit = whole ? width : 1, grain = even_grain(walk.count);
  const bool ahead = worth_asking(walk.count * static_cast<int64_t>(sizeof(T)));
  for_ranges(walk.count / unit, (grain + unit - 1) / unit, [&](int64_t begin, int64_t end) {
    Place place(walk, 1, begin * unit);
    while (begin < end) {
      const int64_t left = place.left(axis), n = left < end - begin ? left : end - begin;
      move_rows<T>({out + place.offset[0], walk.stride[0][before], walk.stride[0][last]},
                   {x + place.offset[1], walk.stride[1][before], walk.stride[1][last]},
                   whole ? n : 1, whole ? width : n, ahead);
      place.advance(axis, n);
      begin += n;
    }
  });
}

// out = x. Where another axis than the last is the contiguous one of x, the two are a transposed
// matrix for each place along the others, and each such matrix is copied by tiles.
template <class T>
void copy(T* out, const T* x, const Walk& walk) {
  const int last = walk.ndim - 1;
  if (last == 0 && walk.stride[1][0] == 0) {  // one number: nothing is read, or asked for ahead
    for_ranges(walk.count, even_grain(walk.count), [out, v = *x](int64_t begin, int64_t end) {
      for (; begin + kLanes<T> <= end; begin += kLanes<T>) store(out + begin, splat(v));
      for (; begin < end; ++begin) out[begin] = v;
    });
    return;
  }
  const int64_t cols = walk.size[last], stride = walk.stride[1][last];
  int down = last - 1;
  while (down >= 0 && walk.stride[1][down] != 1) --down;
  if (walk.count == 0 || down < 0 || stride == 1 || stride == 0 || (cols < 4 && down < last - 1)) {
    put(out, x, walk);
    return;
  }
  const int64_t rows = walk.size[down], step = walk.stride[0][down];
  // Parts of some rows and of so many columns that one is worth a thread's while.
  const int64_t high = least(rows, cols < 4 ? kGrain / 4 : kTile),
                wide = least(cols, kGrain / high);
  const int64_t strips = (rows + high - 1) / high, pieces = (cols + wide - 1) / wide;
  for_even_ranges(walk.count / (rows * cols) * strips * pieces, kGrain / (high * wide),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t s = begin; s < end; ++s) {
                      const int64_t first = s / pieces % strips * high, from = s % pieces * wide;
                      int64_t rest = s / pieces / strips, at = 0, to = 0;
                      for (int d = last - 1; d >= 0; --d) {
                        if (d == down) continue;
                        at += rest % walk.size[d] * walk.stride[1][d];
                        to += rest % walk.size[d] * walk.stride[0][d];
                        rest /= walk.size[d];
                      }
                      transpose(out + to, step, x + at, cols, stride, first,
                                least(first + high, rows), from, least(from + wide, cols));
                    }
                  });
}

// out (outer, width[0] + width[1] + ...) = the x[k] (outer, width[k]) side by side.
template <class T>
void cat(T* out, const T* const* x, const int64_t* width, int64_t count, int64_t outer) {
  int64_t total = 0;
  for (int64_t k = 0; k < count; ++k) total += width[k];
  if (outer * total == 0) return;
  if (total < kGrain) {  // so many rows at a time as stay in the cache
    const int64_t most = 4096 / total + 1;
    for_even_ranges(outer, kGrain / total, [&](int64_t begin, int64_t end) {
      for (; begin < end; begin += most) {
        T* to = out + begin * total;
        for (int64_t k = 0; k < count; to += width[k++])
          move_rows<T>({to, total, 1}, {x[k] + begin * width[k], width[k], 1},
                       least(most, end - begin), width[k], false);
      }
    });
    return;
  }
  for_even_ranges(outer * total, kGrain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t row = begin / total, first = begin % total;
      const int64_t last = least(total, first + end - begin);
      int64_t at = 0;  // where x[k] begins in the row
      for (int64_t k = 0; k < count && at < last; at += width[k++]) {
        const int64_t from = first > at ? first - at : 0, to = least(last - at, width[k]);
        if (from < to)
          move_row(out + row * total + at + from, x[k] + row * width[k] + from, to - from);
      }
      begin += last - first;
    }
  });
}

// out = x of `count` matrices (rows, cols), but 0 above the diagonal or, if `upper`, below it
template <class T>
void triangle(T* out, const T* x, int64_t count, int64_t rows, int64_t cols, int64_t diagonal,
              bool upper) {
  for_even_ranges(count * rows, kGrain / (cols + 1) + 1, [&](int64_t begin, int64_t end) {
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

// --- casts: block by block, on the way from one kind of number to another in at most three steps

using Step = void(void* out, const void* x, int64_t n);

template <class To, class From>
void convert(void* out, const void* x, int64_t n) {
  auto* to = static_cast<To*>(out);
  const auto* from = static_cast<const From*>(x);
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<To>(from[i]);
}
template <class From>
void is_not_zero(void* out, const void* x, int64_t n) {
  auto* to = static_cast<uint8_t*>(out);
  const auto* from = static_cast<const From*>(x);
  for (int64_t i = 0; i < n; ++i) to[i] = from[i] != 0;
}

void from_bfloat16(void* out, const void* x, int64_t n) {
  auto* to = static_cast<uint32_t*>(out);
  const auto* from = static_cast<const uint16_t*>(x);
  for (int64_t i = 0; i < n; ++i) to[i] = uint32_t(from[i]) << 16;
}
void to_bfloat16(void* out, const void* x, int64_t n) {  // to nearest, of two the even one
  auto* to = static_cast<uint16_t*>(out);
  const auto* from = static_cast<const uint32_t*>(x);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t b = from[i], rounded = (b + 0x7fff + (b >> 16 & 1)) >> 16;
    to[i] = static_cast<uint16_t>((b & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
  }
}

#if defined(__F16C__) || defined(__AVX512F__)
// Of float16 eight at a time, the last ones from and to a place of their own.
void from_half(void* out, const void* x, int64_t n) {
  auto* to = static_cast<float*>(out);
  const auto* from = static_cast<const uint16_t*>(x);
  const auto eight = [](float* y, const uint16_t* h) {
    _mm256_storeu_ps(y, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(h))));
  };
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) eight(to + i, from + i);
  uint16_t last[8] = {};
  float wide[8];
  std::memcpy(last, from + i, (n - i) * sizeof *from);
  eight(wide, last);
  std::memcpy(to + i, wide, (n - i) * sizeof *to);
}
void to_half(void* out, const void* x, int64_t n) {
  auto* to = static_cast<uint16_t*>(out);
  const auto* from = static_cast<const float*>(x);
  const auto eight = [](uint16_t* h, const float* y) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(h), _mm256_cvtps_ph(_mm256_loadu_ps(y), 0));
  };
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) eight(to + i, from + i);
  float last[8] = {};
  uint16_t narrow[8];
  std::memcpy(last, from + i, (n - i) * sizeof *from);
  eight(narrow, last);
  std::memcpy(to + i, narrow, (n - i) * sizeof *to);
}
#else
inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof x);
  return bits;
}
inline float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
void from_half(void* out, const void* x, int64_t n) {
  auto* to = static_cast<float*>(out);
  const auto* from = static_cast<const uint16_t*>(x);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t h = from[i], sign = (h & 0x8000) << 16;
    const float value = float_of((h & 0x7fff) << 13) * 0x1p112f;
    const uint32_t open = (h & 0x7c00) == 0x7c00 ? 0x7f800000 : 0;  // infinity or NaN
    to[i] = float_of(bits_of(value) | open | sign);
  }
}
void to_half(void* out, const void* x, int64_t n) {
  auto* to = static_cast<uint16_t*>(out);
  const auto* from = static_cast<const float*>(x);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t b = bits_of(from[i]), a = b & 0x7fffffff, sign = b >> 16 & 0x8000;
    uint32_t h;
    if (a > 0x7f800000)
      h = 0x7e00 | (a >> 13 & 0x3ff);
    else if (a >= 0x477ff000)
      h = 0x7c00;
    else if (a < 0x38800000)  // a denormal: the last bits of its sum with 1/2
      h = bits_of(float_of(a) + 0.5f) - 0x3f000000;
    else
      h = (a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13;
    to[i] = static_cast<uint16_t>(h | sign);
  }
}
#endif

constexpr int kSizes[] = {1, 1, 1, 2, 4, 8, 2, 2, 4, 8};  // bytes of each Element

// Between int32, int64, float and double.
Step* between(Element to, Element from) {
  static constexpr Step* const table[4][4] = {
      {nullptr, convert<int32_t, int64_t>, convert<int32_t, float>, convert<int32_t, double>},
      {convert<int64_t, int32_t>, nullptr, convert<int64_t, float>, convert<int64_t, double>},
      {convert<float, int32_t>, convert<float, int64_t>, nullptr, convert<float, double>},
      {convert<double, int32_t>, convert<double, int64_t>, convert<double, float>, nullptr}};
  const auto place = [](Element e) {
    return e == kInt32 ? 0 : e == kInt64 ? 1 : e == kFloat ? 2 : 3;
  };
  return table[place(to)][place(from)];
}

// out = x in another type: of small numbers in int32, of those of half precision in float; a bool
// is whether a number is not 0.
__attribute__((noinline)) void cast_elements(void* out, Element to, const void* x, Element from,
                                             int64_t n) {
  struct {
    Step* step;
    Element to;
  } steps[3];
  int count = 0;
  Element at = from;
  const auto take = [&](Step* step, Element next) {
    if (step != nullptr) steps[count++] = {step, next};
    at = next;
  };
  if (from == kBool || from == kByte)
    take(convert<int32_t, uint8_t>, kInt32);
  else if (from == kInt8)
    take(convert<int32_t, int8_t>, kInt32);
  else if (from == kInt16)
    take(convert<int32_t, int16_t>, kInt32);
  else if (from == kHalf)
    take(from_half, kFloat);
  else if (from == kBfloat16)
    take(from_bfloat16, kFloat);
  if (to == kHalf || to == kBfloat16) {
    take(between(kFloat, at), kFloat);
    take(to == kHalf ? to_half : to_bfloat16, to);
  } else if (to == kBool) {
    take(at == kInt32   ? is_not_zero<int32_t>
         : at == kInt64 ? is_not_zero<int64_t>
         : at == kFloat ? is_not_zero<float>
                        : is_not_zero<double>,
         to);
  } else if (to < kInt32) {
    take(between(kInt32, at), kInt32);
    take(to == kByte   ? convert<uint8_t, int32_t>
         : to == kInt8 ? convert<int8_t, int32_t>
                       : convert<int16_t, int32_t>,
         to);
  } else {
    take(between(to, at), to);
  }
  constexpr int64_t kPiece = 512;
  for_ranges(n, even_grain(n), [&](int64_t begin, int64_t end) {
    alignas(64) char block[2][kPiece * 8];
    for (; begin < end; begin += kPiece) {
      const int64_t m = end - begin < kPiece ? end - begin : kPiece;
      const void* from_here = static_cast<const char*>(x) + begin * kSizes[from];
      for (int k = 0; k < count; ++k) {
        void* const next = k + 1 < count ? static_cast<void*>(block[k])
                                         : static_cast<char*>(out) + begin * kSizes[to];
        steps[k].step(next, from_here, m);
        from_here = next;
      }
    }
  });
}
template <class T>
void cast(void* out, Element to, const void* x, Element from, int64_t n) {
  cast_elements(out, to, x, from, n);
}

}  // namespace

MT_KERNEL(copy, copy)
MT_KERNEL(cat, cat)
MT_KERNEL(put, put)
MT_KERNEL(triangle, triangle)
MT_KERNEL(cast, cast)

}  // namespace mt::MT_ISA
