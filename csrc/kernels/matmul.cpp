// Batched matrix product: c (batch, m, n) = a (batch, m, k) b (batch, k, n) + bias (n), on any
// strides of a and b.
#include "../kernels.h"
#include "gemm.h"

namespace mt::MT_ISA {
namespace {

// One product of the batch: where its operands begin follows from the batch's walk.
template <class T>
Product<T> item(const MatmulSizes& s, T* c, const T* a, const T* b, const T* bias, int64_t index) {
  c += index * s.m * s.n;
  for (int d = s.batch.ndim - 1; d >= 0; --d) {
    const int64_t at = d ? index % s.batch.size[d] : index;
    if (d) index /= s.batch.size[d];
    a += at * s.batch.stride[1][d];
    b += at * s.batch.stride[2][d];
  }
  return {s.m, s.n, s.k, {c, s.n, 1}, {a, s.a_row, s.a_col}, {b, s.b_row, s.b_col}, {bias, 0, 1}};
}

// c_ij = bias_j + sum_k a_ik b_kj
template <class T>
void naive(T* c, const T* a, const T* b, const T* bias, const MatmulSizes& s) {
  for (int64_t index = 0; index < s.batch.count; ++index) {
    const Product<T> p = item(s, c, a, b, bias, index);
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j) {
        T sum = 0;
        for (int64_t k = 0; k < s.k; ++k) sum += *p.a.at(i, k).p * *p.b.at(k, j).p;
        *p.c.at(i, j).p = sum + (bias ? bias[j] : 0);
      }
  }
}

template <class T>
void blocked(T* c, const T* a, const T* b, const T* bias, const MatmulSizes& s) {
  for (int64_t index = 0; index < s.batch.count; ++index)
    product_blocked(item(s, c, a, b, static_cast<const T*>(nullptr), index));
  if (!bias) return;  // which is added to whole products, as on the other rungs
  for (int64_t index = 0; index < s.batch.count; ++index)
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j) *item(s, c, a, b, bias, index).c.at(i, j).p += bias[j];
}

template <class T>
void simd(T* c, const T* a, const T* b, const T* bias, const MatmulSizes& s) {
  for (int64_t index = 0; index < s.batch.count; ++index)
    product_simd(item(s, c, a, b, bias, index));
}

// c^T = b^T a^T where a lies transposed and b is narrow, as in the gradient of a weight with few
// inputs: so a is read in long runs, and each of its vectors meets all of b's columns.
template <class T>
Product<T> well_turned(const Product<T>& p) {
  if (p.a.col == 1 || p.b.col != 1 || p.n > kTileCols<T> || p.m <= 4 * p.n || p.k < kShortDepth)
    return p;
  return {p.n, p.m, p.k, p.c.transposed(), p.b.transposed(), p.a.transposed(), p.d.transposed()};
}

constexpr int64_t kEachWork = 4096;  // multiplications in the time that it takes to begin a product

// Many products, or small ones, are shared out among the threads whole; a few large ones each use
// all threads.
template <class T>
void fast(T* c, const T* a, const T* b, const T* bias, const MatmulSizes& s) {
  const int64_t count = s.batch.count, work = max(1, s.m * s.n * s.k);
  const int64_t threads = num_threads();
  const bool apart = count >= 4 * threads || count % threads == 0 || work < 4 * kChunkWork;
  const int64_t each = s.m * max(s.n, kLanes<T>) * s.k + kEachWork;
  const int64_t grain = apart ? even_share(count, each) : count;
  for_ranges(count, grain, [&](int64_t from, int64_t to) {
    for (int64_t index = from; index < to; ++index)
      product_fast(well_turned(item(s, c, a, b, bias, index)), grain < count ? 1 : threads);
  });
}

}  // namespace

template void product_simd(const Product<float>&);
template void product_simd(const Product<double>&);
template void product_fast(Product<float>, int64_t);
template void product_fast(Product<double>, int64_t);

MT_RUNGS(matmul, naive, blocked, simd, fast)

}  // namespace mt::MT_ISA
