// Lines asked for before they are written. A store to a line that is not in the cache must first
// read it, and the hardware looks ahead for loads only: results that are larger than the caches are
// written half again as fast where a loop does so itself.
#pragma once

#include <cstdint>

namespace mt::MT_ISA {
namespace {

constexpr int64_t kAhead = 2048;          // bytes
constexpr int64_t kWorthAhead = 1 << 15;  // bytes: less is in the first cache soon enough

// Asks for the line of p, which need not exist, to read it or to write to it.
inline void fetch(const void* p) { __builtin_prefetch(p); }
inline void fetch_to_write(const void* p) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));  // GCC's asks to read
#else
  __builtin_prefetch(p, 1);
#endif
}

// Asks for the lines of n values from kAhead after p, to write to them.
template <class T>
inline void will_write(const T* p, int64_t n) {
  const char* const line = reinterpret_cast<const char*>(p) + kAhead;
  for (int64_t i = 0; i < n * static_cast<int64_t>(sizeof(T)); i += 64) fetch_to_write(line + i);
}

}  // namespace
}  // namespace mt::MT_ISA
