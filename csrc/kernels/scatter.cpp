// Elements looked up, and added up, by their numbers along the middle axis of x (outer, n, inner).
#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kChunk = 1 << 16;  // elements that a thread takes at a time

inline int64_t per_chunk(int64_t width) {
  return width < kChunk ? kChunk / (width > 0 ? width : 1) : 1;
}

template <class T>
inline void add_row(T* y, const T* x, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) store(y + i, load(y + i) + load(x + i));
  for (; i < n; ++i) y[i] += x[i];
}

// y[o, k, :] = x[o, index[k], :]; y (outer, count, inner)
template <class T>
void index_select(T* y, const T* x, const int64_t* index, int64_t outer, int64_t n, int64_t count,
                  int64_t inner) {
  for_ranges(outer * count, per_chunk(inner), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end;) {  // what of one o lies in the chunk
      const int64_t o = r / count, first = r % count;
      const int64_t last = first + end - r < count ? first + end - r : count;
      const T* from = x + o * n * inner;
      T* to = y + o * count * inner;
      if (inner == 1)
        for (int64_t k = first; k < last; ++k) to[k] = from[index[k]];
      else
        for (int64_t k = first; k < last; ++k)
          std::memcpy(to + k * inner, from + index[k] * inner, inner * sizeof(T));
      r += last - first;
    }
  });
}

// dx[o, index[k], :] += g[o, k, :] for y[o, k, :] = x[o, index[k], :], in the order of k; but row
// `skip` stays 0. Each chunk owns rows of dx and looks for them through the whole index, so no two
// threads meet.
template <class T>
void index_add(T* dx, const T* g, const int64_t* index, int64_t outer, int64_t n, int64_t count,
               int64_t inner, int64_t skip) {
  constexpr int64_t kOwners = 8;  // how often the index is read at most
  const int64_t owners = outer == 1 && inner > kOwners ? kOwners : 1;
  const int64_t least = per_chunk(inner), share = (n + owners - 1) / owners;
  const int64_t rows = share > least ? share : least, chunks = rows > 0 ? (n + rows - 1) / rows : 0;
  const int64_t lines = per_chunk((n + count) * inner);
  for_ranges(outer * chunks, chunks == 1 ? lines : 1, [&](int64_t first, int64_t last) {
    for (int64_t c = first; c < last; ++c) {
      const int64_t o = c / chunks, begin = c % chunks * rows,
                    end = begin + rows < n ? begin + rows : n;
      T* to = dx + o * n * inner;
      const T* from = g + o * count * inner;
      std::memset(to + begin * inner, 0, (end - begin) * inner * sizeof(T));
      for (int64_t k = 0; k < count; ++k)
        if (index[k] >= begin && index[k] < end && index[k] != skip)
          add_row(to + index[k] * inner, from + k * inner, inner);
    }
  });
}

// f(o, first, last) over all columns first..last-1 of all o, in blocks that one thread takes.
template <class F>
inline void for_columns(int64_t outer, int64_t depth, int64_t inner, const F& f) {
  if (depth * inner < kChunk) {
    for_ranges(outer, per_chunk(depth * inner), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) f(o, int64_t{0}, inner);
    });
    return;
  }
  constexpr int64_t kLine = 16;  // columns: a cache line or two
  const int64_t some = per_chunk(depth), width = some > kLine ? some : kLine;
  const int64_t blocks = (inner + width - 1) / width;
  for_chunks(outer * blocks, [&](int64_t c) {
    const int64_t first = c % blocks * width;
    f(c / blocks, first, first + width < inner ? first + width : inner);
  });
}

// y[o, k, i] = x[o, index[o, k, i], i]; y, index (outer, count, inner)
template <class T>
void gather(T* y, const T* x, const int64_t* index, int64_t outer, int64_t n, int64_t count,
            int64_t inner) {
  for_columns(outer, count, inner, [&](int64_t o, int64_t first, int64_t last) {
    const T* from = x + o * n * inner;
    if (inner == 1)  // k is what there is much of
      for (int64_t k = o * count; k < (o + 1) * count; ++k) y[k] = from[index[k]];
    else
      for (int64_t k = 0; k < count; ++k) {
        const int64_t row = (o * count + k) * inner;
        for (int64_t i = first; i < last; ++i) y[row + i] = from[index[row + i] * inner + i];
      }
  });
}

// dx[o, index[o, k, i], i] += g[o, k, i] for y[o, k, i] = x[o, index[o, k, i], i], in order of k
template <class T>
void scatter_add(T* dx, const T* g, const int64_t* index, int64_t outer, int64_t n, int64_t count,
                 int64_t inner) {
  for_columns(outer, n + count, inner, [&](int64_t o, int64_t first, int64_t last) {
    T* to = dx + o * n * inner;
    for (int64_t j = 0; j < n; ++j)
      std::memset(to + j * inner + first, 0, (last - first) * sizeof(T));
    for (int64_t k = 0; k < count; ++k) {
      const int64_t row = (o * count + k) * inner;
      for (int64_t i = first; i < last; ++i) to[index[row + i] * inner + i] += g[row + i];
    }
  });
}

}  // namespace

MT_KERNEL(index_select, index_select)
MT_KERNEL(index_add, index_add)
MT_KERNEL(gather, gather)
MT_KERNEL(scatter_add, scatter_add)

}  // namespace mt::MT_ISA
