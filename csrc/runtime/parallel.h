// Threads. Work is cut into chunks that depend on the problem alone; the caller and the workers
// draw them, each from its own share first, so any number of threads gives the same bits, and the
// caller never waits for a worker that has not begun.
#pragma once

#include <cstdint>

namespace mt {

// body(context, chunk) for every chunk of 0..chunks-1, in any order, on any thread. Runs on the
// caller alone for one chunk, inside another parallel call, and while another thread's call is
// under way. What body throws (a kernel that finds no scratch memory) is thrown on the caller when
// no chunk runs any more.
void parallel(int64_t chunks, void (*body)(void* context, int64_t chunk), void* context);

void set_num_threads(int n);
int num_threads();

// The same for a callable: for_chunks(n, [&](int64_t i) { ... }). Internal linkage, so that a copy
// compiled for one ISA is never linked into another.
namespace {
template <class F>
inline void for_chunks(int64_t chunks, const F& f) {
  parallel(
      chunks, [](void* context, int64_t chunk) { (*static_cast<const F*>(context))(chunk); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

// f(begin, end) over 0..n-1 in ranges of `grain` (the last is shorter).
template <class F>
inline void for_ranges(int64_t n, int64_t grain, const F& f) {
  const int64_t chunks = (n + grain - 1) / grain;
  for_chunks(chunks, [&](int64_t c) {
    const int64_t begin = c * grain;
    f(begin, begin + grain < n ? begin + grain : n);
  });
}
}  // namespace

}  // namespace mt
