// Rows of a table, looked up by number.
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

// y_i = w[index_i]; y (count, dim), w (rows, dim)
template <class T>
void embedding(T* y, const T* w, const int64_t* index, int64_t count, int64_t dim) {
  for_ranges(count, per_chunk(dim), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(y + i * dim, w + index[i] * dim, dim * sizeof(T));
  });
}

// dw[index_i] += g_i for y_i = w[index_i], in the order of i; but row `skip` stays 0.
// Each chunk owns a range of dw's rows and looks for them through the whole index, so no two
// threads meet.
template <class T>
void embedding_vjp(T* dw, const T* g, const int64_t* index, int64_t count, int64_t rows,
                   int64_t dim, int64_t skip) {
  constexpr int64_t kOwners = 8;  // how often the index is read at most
  const int64_t least = per_chunk(dim), share = (rows + kOwners - 1) / kOwners;
  for_ranges(rows, share > least ? share : least, [&](int64_t begin, int64_t end) {
    std::memset(dw + begin * dim, 0, (end - begin) * dim * sizeof(T));
    for (int64_t i = 0; i < count; ++i)
      if (index[i] >= begin && index[i] < end && index[i] != skip)
        add_row(dw + index[i] * dim, g + i * dim, dim);
  });
}

}  // namespace

MT_KERNEL(embedding, embedding)
MT_KERNEL(embedding_vjp, embedding_vjp)

}  // namespace mt::MT_ISA
