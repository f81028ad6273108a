#include "engine.h"

#include <atomic>
#include <cstring>

#include "dispatch.h"

#if defined(MT_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace mt {

namespace amx {
bool product(const FloatProduct& p, int parts);
}

namespace {

#if defined(MT_AMX)
// Bit `bit` of a register (0 eax, 1 ebx, 2 ecx, 3 edx) of cpuid's leaf 7.
bool feature(unsigned leaf, int reg, int bit) {
  unsigned r[4];
  return __get_cpuid_count(7, leaf, &r[0], &r[1], &r[2], &r[3]) && (r[reg] >> bit & 1);
}

// The CPU has tiles and their product of bfloat16, the system saves them (XCR0), and this process
// asked for them: Linux gives tiles to those who ask only, once for all threads.
bool has_amx() {
  if (!feature(0, 3, 22) || !feature(0, 3, 24) || !feature(1, 0, 5)) return false;
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned kTileState = 3 << 17;
  constexpr int kAskForState = 0x1023, kTileData = 18;
  return (low & kTileState) == kTileState && syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
}

// Products that are worth splitting, for one part and for two: measured.
constexpr int64_t kLeastSide[] = {32, 64}, kLeastWork[] = {1 << 18, 1 << 21};
#endif

// Kernels read it on any thread, without Python's lock.
std::atomic<int> parts{0};

}  // namespace

#if defined(MT_AMX)
bool multiply_by_parts(const FloatProduct& p) {
  const int n = parts.load(std::memory_order_relaxed);
  return n && p.m >= kLeastSide[n - 1] && p.n >= kLeastSide[n - 1] && p.k >= kLeastSide[0] &&
         p.m * p.n * p.k >= kLeastWork[n - 1] && (p.a_row == 1 || p.a_col == 1) &&
         (p.b_row == 1 || p.b_col == 1) && amx::product(p, n);
}

void set_parts(int n) {
  if (n) {
    static const bool here = has_amx();  // asked when somebody wants it first
    if (!here) n = 0;
  }
  parts = n;
}
#else
bool multiply_by_parts(const FloatProduct&) { return false; }
void set_parts(int) {}
#endif

// The other ISAs' and rungs' products know of float32 alone.
const char* engine() {
  return parts && !std::strcmp(isa(), "avx512") && !std::strcmp(rung(), "fast") ? "amx" : "float32";
}

}  // namespace mt
