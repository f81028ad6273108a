// Elements looked up, and added to or put in place of others, by their numbers along the middle
// axis of x (outer, n, inner).
#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "place.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kChunk = 1 << 15;  // elements that a thread takes at a time
constexpr int64_t kAhead = 4;        // rows that are fetched before they are needed

inline int64_t per_chunk(int64_t width) {
  return width < kChunk ? kChunk / (width > 0 ? width : 1) : 1;
}

// y = x
template <class T>
inline void copy_row(T* y, const T* x, int64_t n) {
  if (n <= kLanes<T>)
    store_n(y, load_n(x, static_cast<int>(n)), static_cast<int>(n));
  else
    std::memcpy(y, x, n * sizeof(T));
}

// y += x
template <class T>
inline void add_row(T* y, const T* x, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store(y + i, load(y + i) + load(x + i));
  for (; i < n; ++i) y[i] += x[i];
}

// What y begins with: x, which y may be already, or 0 where there is none.
template <class T>
inline void begin_row(T* y, const T* x, int64_t n) {
  if (x == nullptr)
    std::memset(y, 0, n * sizeof(T));
  else if (x != y)
    std::memcpy(y, x, n * sizeof(T));
}

// y[o, k, :] = x[o, index[k], :]; y (outer, count, inner)
template <class T>
void index_select(T* y, const T* x, const int64_t* index, int64_t outer, int64_t n, int64_t count,
                  int64_t inner) {
  for_even_ranges(outer * count, per_chunk(inner), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end;) {  // what of one o lies in the chunk
      const int64_t o = r / count, first = r % count;
      const int64_t last = first + end - r < count ? first + end - r : count;
      const T* from = x + o * n * inner;
      T* to = y + o * count * inner;
      if (inner == 1)
        for (int64_t k = first; k < last; ++k) to[k] = from[index[k]];
      else
        for (int64_t k = first; k < last; ++k) {
          if (k + kAhead < last) __builtin_prefetch(from + index[k + kAhead] * inner);
          copy_row(to + k * inner, from + index[k] * inner, inner);
        }
      r += last - first;
    }
  });
}

// The first kSide vectors (or of one, `lanes` lanes) of the sum of the rows x[index[k], :] with
// k < size, or of their mean. As many numbers as `after` follow in the index.
template <class T, int kSide>
inline void bag(T* y, const T* x, const int64_t* index, int64_t size, int64_t after, int64_t inner,
                int lanes, bool mean) {
  const auto row = [&](int64_t k, int s) {
    const T* const at = x + index[k] * inner + s * kLanes<T>;
    return kSide > 1 ? load(at) : load_n(at, lanes);
  };
  Vec<T> sum[kSide] = {};
  for (int s = 0; size > 0 && s < kSide; ++s) sum[s] = row(0, s);
  for (int64_t k = 1; k < size; ++k) {
    if (k + kAhead < size + after) __builtin_prefetch(x + index[k + kAhead] * inner);
    for (int s = 0; s < kSide; ++s) sum[s] += row(k, s);
  }
  for (int s = 0; s < kSide; ++s) {
    if (mean && size > 1) sum[s] /= static_cast<T>(size);
    store_n(y + s * kLanes<T>, sum[s], lanes);
  }
}

// y[b, :] = the sum of x[index[k], :] over start[b] <= k < start[b + 1], in the order of k, or its
// mean; of none 0.  y (count, inner)
template <class T>
void bags(T* y, const T* x, const int64_t* index, const int64_t* start, int64_t count,
          int64_t inner, bool mean) {
  constexpr int kSide = 4, kWidth = kSide * kLanes<T>;
  const int64_t most = count > 0 ? start[count] : 0, each = most / (count + 1) + 1;
  for_even_ranges(count, per_chunk(each * inner), [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t *const first = index + start[b], size = start[b + 1] - start[b];
      T* const to = y + b * inner;
      int64_t i = 0;
      for (; i + kWidth <= inner; i += kWidth)
        bag<T, kSide>(to + i, x + i, first, size, most - start[b + 1], inner, kLanes<T>, mean);
      for (; i < inner; i += kLanes<T>)
        bag<T, 1>(to + i, x + i, first, size, 0, inner,
                  static_cast<int>(inner - i < kLanes<T> ? inner - i : kLanes<T>), mean);
    }
  });
}

// y = x (or 0), then y[o, index[k], :] += g[o, k, :] or, to replace, = g[o, k, :], in the order of
// k; but row `skip` stays. Each chunk owns rows of y and looks for them through the whole index, so
// no two threads meet.
template <class T>
void index_add(T* y, const T* x, const T* g, const int64_t* index, int64_t outer, int64_t n,
               int64_t count, int64_t inner, int64_t skip, bool replace) {
  constexpr int64_t kOwners = 8;  // how often the index is read at most
  const int64_t owners = outer == 1 && inner > kOwners ? kOwners : 1;
  const int64_t least = per_chunk(inner), share = (n + owners - 1) / owners;
  const int64_t rows = share > least ? share : least, chunks = rows > 0 ? (n + rows - 1) / rows : 0;
  const int64_t lines = per_chunk((n + count) * inner);
  for_ranges(outer * chunks, chunks == 1 ? lines : 1, [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c) {
      const int64_t o = c / chunks, begin = c % chunks * rows,
                    end = begin + rows < n ? begin + rows : n;
      T* to = y + o * n * inner;
      const T* from = g + o * count * inner;
      begin_row(to + begin * inner, x == nullptr ? x : x + (o * n + begin) * inner,
                (end - begin) * inner);
      if (inner == 1 && chunks == 1 && skip < 0) {
        if (replace)
          for (int64_t k = 0; k < count; ++k) to[index[k]] = from[k];
        else
          for (int64_t k = 0; k < count; ++k) to[index[k]] += from[k];
        continue;
      }
      for (int64_t k = 0; k < count; ++k)
        if (index[k] >= begin && index[k] < end && index[k] != skip)
          (replace ? copy_row<T> : add_row<T>)(to + index[k] * inner, from + k * inner, inner);
    }
  });
}

// f(begin, end, first, last) over the columns first..last-1 of each o of begin..end-1, in blocks
// that one thread takes: several whole o, or a part of one.
template <class F>
inline void for_columns(int64_t outer, int64_t depth, int64_t inner, const F& f) {
  if (depth * inner < kChunk) {
    for_even_ranges(outer, per_chunk(depth * inner),
                    [&](int64_t begin, int64_t end) { f(begin, end, int64_t{0}, inner); });
    return;
  }
  constexpr int64_t kLine = 16;  // columns: a cache line or two
  const int64_t some = per_chunk(depth), width = some > kLine ? some : kLine;
  const int64_t blocks = (inner + width - 1) / width;
  for_chunks(outer * blocks, [&](int64_t c) {
    const int64_t o = c / blocks, first = c % blocks * width;
    f(o, o + 1, first, first + width < inner ? first + width : inner);
  });
}

// y[o, k, i] = x[o, index[o, k, i], i]; y, index (outer, count, inner)
template <class T>
void gather(T* y, const T* x, const int64_t* index, int64_t outer, int64_t n, int64_t count,
            int64_t inner) {
  for_columns(outer, count, inner, [&](int64_t begin, int64_t end, int64_t first, int64_t last) {
    for (int64_t o = begin; o < end; ++o) {
      const T* from = x + o * n * inner;
      if (inner == 1)  // k is what there is much of
        for (int64_t k = o * count; k < (o + 1) * count; ++k) y[k] = from[index[k]];
      else
        for (int64_t k = 0; k < count; ++k) {
          const int64_t row = (o * count + k) * inner;
          for (int64_t i = first; i < last; ++i) y[row + i] = from[index[row + i] * inner + i];
        }
    }
  });
}

// The least and the most of `count` numbers: of none, all bits but the first, and the first alone.
template <class T>
void span(int64_t least_and_most[2], const int64_t* index, int64_t count) {
  using Numbers = Mask<double>;
  Numbers low = Numbers{} + INT64_MAX, high = Numbers{} + INT64_MIN;
  const auto take = [&](Numbers v) {
    low = v < low ? v : low;
    high = v > high ? v : high;
  };
  int64_t k = 0;
  for (; k + kLanes<double> <= count; k += kLanes<double>) {
    Numbers v;
    std::memcpy(&v, index + k, sizeof v);
    take(v);
  }
  for (; k < count; ++k) take(Numbers{} + index[k]);
  least_and_most[0] = INT64_MAX;
  least_and_most[1] = INT64_MIN;
  for (int i = 0; i < kLanes<double>; ++i) {
    if (low[i] < least_and_most[0]) least_and_most[0] = low[i];
    if (high[i] > least_and_most[1]) least_and_most[1] = high[i];
  }
}

template <class T, Join how>
inline T joined(T a, T b) {
  if constexpr (how == kSum) return a + b;
  if constexpr (how == kProduct) return a * b;
  if constexpr (how == kReplaced) return b;
  // By a vector's instructions: nobody could foretell the branches.
  if constexpr (how == kLargest) return maximum<T>(splat(a), splat(b))[0];
  if constexpr (how == kLeast) return minimum<T>(splat(a), splat(b))[0];
}
// y[index[k, i], i] = joined(that, g[k, i]) for the columns i = first .. last - 1
template <class T, Join how>
void scatter_columns(T* y, const T* g, const int64_t* index, int64_t count, int64_t inner,
                     int64_t first, int64_t last) {
  if (inner == 1)  // k is what there is much of
    for (int64_t k = 0; k < count; ++k) y[index[k]] = joined<T, how>(y[index[k]], g[k]);
  else
    for (int64_t k = 0; k < count; ++k, g += inner, index += inner)
      for (int64_t i = first; i < last; ++i) {
        T& at = y[index[i] * inner + i];
        at = joined<T, how>(at, g[i]);
      }
}

// y = x (or 0), then y[o, index[o, k, i], i] = joined(that, g[o, k, i]), in the order of k
template <class T>
void scatter(T* y, const T* x, const T* g, const int64_t* index, int64_t outer, int64_t n,
             int64_t count, int64_t inner, Join how) {
  const auto join = how == kSum       ? scatter_columns<T, kSum>
                    : how == kProduct ? scatter_columns<T, kProduct>
                    : how == kLargest ? scatter_columns<T, kLargest>
                    : how == kLeast   ? scatter_columns<T, kLeast>
                                      : scatter_columns<T, kReplaced>;
  const int64_t size = n * inner;
  const auto part = [&](int64_t begin, int64_t end, int64_t first, int64_t last) {
    const bool whole = last - first == inner;
    for (int64_t j = begin * size + first; j < end * size;
         j += whole ? (end - begin) * size : inner)
      begin_row(y + j, x == nullptr ? x : x + j, whole ? (end - begin) * size : last - first);
    for (int64_t o = begin; o < end; ++o)
      join(y + o * size, g + o * count * inner, index + o * count * inner, count, inner, first,
           last);
  };
  for_columns(outer, n + count, inner, part);
}

}  // namespace

MT_KERNEL(index_select, index_select)
MT_KERNEL(index_add, index_add)
MT_KERNEL(bags, bags)
MT_KERNEL(gather, gather)
MT_KERNEL(scatter, scatter)
MT_KERNEL(span, span)

}  // namespace mt::MT_ISA
