// Softmax along the middle axis of x (outer, n, inner).
#include "../simd.h"

#include "../kernels.h"
#include "../runtime/parallel.h"

namespace mt::MT_ISA {
namespace {

// y_i = exp(x_i - m) / sum_j exp(x_j - m),  m = max_j x_j
template <class T>
void naive(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      const T* row = x + o * n * inner + i;
      T* out = y + o * n * inner + i;
      T m = row[0];
      for (int64_t j = 1; j < n; ++j)
        if (row[j * inner] > m || row[j * inner] != row[j * inner]) m = row[j * inner];
      T total = 0;
      for (int64_t j = 0; j < n; ++j) total += out[j * inner] = std::exp(row[j * inner] - m);
      for (int64_t j = 0; j < n; ++j) out[j * inner] /= total;
    }
}

}  // namespace

MT_KERNEL(softmax, naive)

}  // namespace mt::MT_ISA
