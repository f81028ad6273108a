#include "ahead.h"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace mt {
namespace {

constexpr int64_t kCount = 1 << 19;  // floats of each array: both are more than a core's own caches
constexpr int64_t kLine = 16, kAhead = 32 * kLine;

// The seconds that y = x + 1 takes.
double seconds(float* y, const float* x, bool asks) {
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < kCount; i += kLine) {
    if (asks) fetch_to_write(y + i + kAhead);
    for (int64_t j = i; j < i + kLine; ++j) y[j] = x[j] + 1;
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

bool measured() {
  auto* x = static_cast<float*>(std::malloc(2 * kCount * sizeof(float)));
  if (x == nullptr) return false;
  float* y = x + kCount;
  std::memset(x, 1, 2 * kCount * sizeof(float));  // so that the pages are there
  double best[2] = {1, 1};
  for (int round = 0; round < 6; ++round) {
    const double s = seconds(y, x, round % 2 == 1);
    if (s < best[round % 2]) best[round % 2] = s;
  }
  std::free(x);
  return best[1] < best[0];
}

}  // namespace

bool asking_pays() {
  static const bool pays = measured();
  return pays;
}

}  // namespace mt
