// Whether to ask for lines before they are written. A store to a line that is not in the cache must
// first read it; some hardware looks ahead for loads only, and there results that are larger than
// the caches are written half again as fast by a loop that asks for their lines itself. On other
// hardware the asking costs a tenth.
#pragma once

namespace mt {

bool asking_pays();  // measured at the first call, in two milliseconds

// Asks for the line of p, which need not exist, to write to it.
namespace {
inline void fetch_to_write(const void* p) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));  // GCC's asks to read
#else
  __builtin_prefetch(p, 1);
#endif
}
}  // namespace

}  // namespace mt
