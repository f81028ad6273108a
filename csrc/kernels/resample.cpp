// A sparse matrix along the middle axis.
#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kGrain = 1 << 15;  // sums that a thread takes at a time

inline int64_t per_grain(int64_t work) {
  return work < kGrain ? kGrain / (work > 0 ? work : 1) : 1;
}

// y[o, i] = sum_k weight[k] x[o, index[k]], start[i] <= k < start[i+1].  kRows rows of x (n) and y
// (out) side by side, so that each tap is looked up once for all of them.
template <class T, int kRows>
inline void rows_at_once(T* y, const T* x, const int64_t* start, const int64_t* index,
                         const double* weight, int64_t n, int64_t out) {
  for (int64_t i = 0; i < out; ++i) {
    T total[kRows] = {};
    for (int64_t k = start[i]; k < start[i + 1]; ++k) {
      const T w = static_cast<T>(weight[k]);
      for (int r = 0; r < kRows; ++r) total[r] += w * x[r * n + index[k]];
    }
    for (int r = 0; r < kRows; ++r) y[r * out + i] = total[r];
  }
}

// The same where each element is a line: y (out, inner), x (n, inner).  Row i alone.
template <class T>
inline void line(T* y, const T* x, const int64_t* start, const int64_t* index, const double* weight,
                 int64_t inner, int64_t i) {
  int64_t j = 0;
  for (; j + kLanes<T> <= inner; j += kLanes<T>) {
    Vec<T> total{};
    for (int64_t k = start[i]; k < start[i + 1]; ++k)
      total += splat<T>(static_cast<T>(weight[k])) * load<T>(x + index[k] * inner + j);
    store<T>(y + j, total);
  }
  for (; j < inner; ++j) {
    T total = 0;
    for (int64_t k = start[i]; k < start[i + 1]; ++k)
      total += static_cast<T>(weight[k]) * x[index[k] * inner + j];
    y[j] = total;
  }
}

// y (outer, out, inner), x (outer, n, inner)
template <class T>
void resample(T* y, const T* x, const int64_t* start, const int64_t* index, const double* weight,
              int64_t outer, int64_t n, int64_t out, int64_t inner) {
  if (inner == 1) {
    constexpr int kRows = 8;
    for_ranges(outer, (per_grain(start[out] + out) + kRows - 1) / kRows * kRows,
               [&](int64_t begin, int64_t end) {
                 int64_t o = begin;
                 for (; o + kRows <= end; o += kRows)
                   rows_at_once<T, kRows>(y + o * out, x + o * n, start, index, weight, n, out);
                 for (; o < end; ++o)
                   rows_at_once<T, 1>(y + o * out, x + o * n, start, index, weight, n, out);
               });
    return;
  }
  const int64_t taps = out > 0 ? start[out] / out + 1 : 1;
  for_ranges(outer * out, per_grain(taps * inner), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      line(y + r * inner, x + r / out * n * inner, start, index, weight, inner, r % out);
  });
}

}  // namespace

MT_KERNEL(resample, resample)

}  // namespace mt::MT_ISA
