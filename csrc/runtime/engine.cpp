#include "engine.h"

#include <atomic>
#include <cstring>

#include "dispatch.h"

#if defined(MT_BF16)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace mt {

namespace amx {
bool product(const FloatProduct& p, int parts);
}
namespace avx512_bf16 {
bool product(const FloatProduct& p, int parts);
}

namespace {

struct Way {  // to multiply, and from which sizes on it is worth splitting the operands: measured
  const char* engine;
  bool (*product)(const FloatProduct&, int parts);
  int parts;
  int64_t least_side, least_work;
};

constexpr int64_t kLeastDepth = 32;

#if defined(MT_BF16)
constexpr Way kTiles[] = {{"amx", amx::product, 1, 32, 1 << 18},
                          {"amx", amx::product, 2, 64, 1 << 21}};
constexpr Way kVectors = {"avx512_bf16", avx512_bf16::product, 1, 64, 1 << 21};

// Bit `bit` of a register (0 eax, 1 ebx, 2 ecx, 3 edx) of cpuid's leaf 7.
bool feature(unsigned leaf, int reg, int bit) {
  unsigned r[4];
  return __get_cpuid_count(7, leaf, &r[0], &r[1], &r[2], &r[3]) && (r[reg] >> bit & 1);
}

bool has_vectors() { return feature(1, 0, 5); }

// The CPU has tiles and their product of bfloat16, the system saves them (XCR0), and this process
// asked for them: Linux gives tiles to those who ask only, once for all threads.
bool has_tiles() {
  if (!feature(0, 3, 22) || !feature(0, 3, 24) || !has_vectors()) return false;
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned kTileState = 3 << 17;
  constexpr int kAskForState = 0x1023, kTileData = 18;
  return (low & kTileState) == kTileState && syscall(SYS_arch_prctl, kAskForState, kTileData) == 0;
}

const Way* way_of(int parts) {
  if (!parts) return nullptr;
  static const bool tiles = has_tiles();  // asked when somebody wants it first
  return tiles ? &kTiles[parts - 1] : parts == 1 && has_vectors() ? &kVectors : nullptr;
}
#else
const Way* way_of(int) { return nullptr; }
#endif

// Kernels read it on any thread, without Python's lock.
std::atomic<const Way*> in_force{nullptr};

}  // namespace

bool multiply_by_parts(const FloatProduct& p) {
  const Way* const way = in_force.load(std::memory_order_relaxed);
  return way && p.m >= way->least_side && p.n >= way->least_side && p.k >= kLeastDepth &&
         p.m * p.n * p.k >= way->least_work && (p.a_row == 1 || p.a_col == 1) &&
         (p.b_row == 1 || p.b_col == 1) && way->product(p, way->parts);
}

void set_parts(int parts) { in_force = way_of(parts); }

// The other ISAs' and rungs' products know of float32 alone.
const char* engine() {
  const Way* const way = in_force;
  return way && !std::strcmp(isa(), "avx512") && !std::strcmp(rung(), "fast") ? way->engine
                                                                              : "float32";
}

}  // namespace mt
