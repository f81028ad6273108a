// Memory for kernel outputs: 64-byte aligned blocks in size classes, kept when freed and handed out
// again while their pages are warm. Fresh pages cost more than most kernels' arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mt {

struct MemoryStats {
  int64_t in_use;    // bytes in blocks that are handed out
  int64_t kept;      // bytes in free blocks that are kept
  int64_t peak;      // the most that was ever in use
  int64_t requests;  // how many blocks were asked for
  int64_t fresh;     // how many of these had to come from the system
};

void* allocate(size_t bytes);  // nullptr if the system has no more
void* allocate_zeroed(size_t bytes);
void* scratch(size_t bytes);  // the same for a kernel's working memory; throws std::bad_alloc
void release(void* block);    // a block of allocate() or scratch()
void trim();                  // gives every kept block back to the system
void set_kept_limit(int64_t bytes);
MemoryStats memory_stats();
void reset_peak();

}  // namespace mt
