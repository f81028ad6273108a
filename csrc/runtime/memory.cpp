#include "memory.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "parallel.h"

// To AddressSanitizer a block begins and ends with the bytes asked for, and is gone when released,
// though the pool keeps it.
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(block, bytes) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(block, bytes) static_cast<void>(0)
#endif

namespace mt {
namespace {

constexpr size_t kAlign = 64;
constexpr size_t kHuge = size_t{2}
                         << 20;  // the size of a huge page, and from where blocks get them
constexpr int kClasses = 256;

// In front of every block, one cache line, so that a free block needs no table to find its size.
struct Header {
  int size_class;
};
static_assert(sizeof(Header) <= kAlign);

// Sizes grow by 8 classes an octave, so at most an eighth of a block is slack: class 8 * octave +
// eighth holds up to 64 * 2^octave * (1 + eighth / 8) bytes.
size_t class_bytes(int c) { return (kAlign * (8 + c % 8) / 8) << (c / 8); }

int class_of(size_t bytes) {
  if (bytes <= kAlign) return 0;
  const int octave = 63 - __builtin_clzll((bytes - 1) / kAlign);
  const size_t base = kAlign << octave;
  return 8 * octave + static_cast<int>((bytes - base + base / 8 - 1) / (base / 8));
}

// A block that is kept, and which thread released it: the address of its `here`.
struct Free {
  Header* header;
  const void* thread;
};
thread_local char here;

// Holds a mutex that others hold for some instructions only: to sleep until it is free takes longer
// than to look again a few times.
class Lock {
 public:
  explicit Lock(std::mutex& mutex) : mutex_(mutex) {
    for (int looks = 0; looks < 100; ++looks)
      if (mutex.try_lock()) return;
    mutex.lock();
  }
  ~Lock() { mutex_.unlock(); }
  Lock(const Lock&) = delete;

 private:
  std::mutex& mutex_;
};

void clear(void* block, size_t bytes) {
  constexpr int64_t kShare = 1 << 18;  // that is worth waking a thread for
  for_ranges(static_cast<int64_t>(bytes), kShare, [&](int64_t begin, int64_t end) {
    std::memset(static_cast<char*>(block) + begin, 0, end - begin);
  });
}

class Pool {
 public:
  static Pool& get() {
    static Pool* pool = new Pool;  // never destroyed: arrays may outlive static destructors
    return *pool;
  }

  void* allocate(size_t bytes, bool zeroed) {
    const int c = class_of(bytes);
    if (c >= kClasses) return nullptr;
    const size_t size = class_bytes(c);
    Header* header = nullptr;
    {
      Lock lock(mutex_);
      ++stats_.requests;
      used_[c] = stats_.requests;
      if (!free_[c].empty()) {
        header = take(free_[c]);
        stats_.kept -= size;
        in_use(size);
      }
    }
    const bool fresh = header == nullptr;
    if (fresh) {
      header = from_system(size);
      if (header == nullptr) {
        trim();
        header = from_system(size);
        if (header == nullptr) return nullptr;
      }
      header->size_class = c;
      Lock lock(mutex_);
      ++stats_.fresh;
      in_use(size);
    }
    void* block = reinterpret_cast<char*>(header) + kAlign;
    ASAN_POISON_MEMORY_REGION(header + 1, kAlign - sizeof(Header) + size);
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    // What the system maps is zero.
    if (zeroed && !(fresh && size >= kHuge)) clear(block, bytes);
    return block;
  }

  void release(void* block) {
    Header* header = reinterpret_cast<Header*>(static_cast<char*>(block) - kAlign);
    const int64_t size = class_bytes(header->size_class);
    ASAN_POISON_MEMORY_REGION(block, size);
    {
      Lock lock(mutex_);
      stats_.in_use -= size;
      if (size <= limit_) {
        while (stats_.kept + size > limit_) drop_oldest();
        free_[header->size_class].push_back({header, &here});
        stats_.kept += size;
        return;
      }
    }
    to_system(header);
  }

  void trim() {
    Lock lock(mutex_);
    for (auto& blocks : free_) {
      for (const Free& block : blocks) give_back(block.header);
      blocks.clear();
    }
    stats_.kept = 0;
  }

  void set_limit(int64_t bytes) {
    Lock lock(mutex_);
    limit_ = bytes < 0 ? 0 : bytes;
    while (stats_.kept > limit_) drop_oldest();
  }

  MemoryStats stats() {
    Lock lock(mutex_);
    return stats_;
  }

  void reset_peak() {
    Lock lock(mutex_);
    stats_.peak = stats_.in_use;
  }

 private:
  Pool() {
    pthread_atfork([] { get().mutex_.lock(); }, [] { get().mutex_.unlock(); },
                   [] { get().mutex_.unlock(); });
  }

  void in_use(size_t size) {
    stats_.in_use += size;
    if (stats_.in_use > stats_.peak) stats_.peak = stats_.in_use;
  }

  // The last that this thread released, which its own core's cache may hold, or else the last.
  static Header* take(std::vector<Free>& blocks) {
    size_t k = blocks.size() - 1;
    for (size_t back = 0; back < 4 && back < blocks.size(); ++back)
      if (blocks[blocks.size() - 1 - back].thread == &here) {
        k = blocks.size() - 1 - back;
        break;
      }
    Header* const header = blocks[k].header;
    blocks.erase(blocks.begin() + k);
    return header;
  }

  // Gives back a kept block of the size that was asked for longest ago, so that what a program did
  // earlier does not keep the blocks of what it does now from being kept.
  void drop_oldest() {
    int oldest = -1;
    for (int c = 0; c < kClasses; ++c)
      if (!free_[c].empty() && (oldest < 0 || used_[c] < used_[oldest])) oldest = c;
    Header* const header = free_[oldest].back().header;
    free_[oldest].pop_back();
    stats_.kept -= class_bytes(oldest);
    give_back(header);
  }

  static void give_back(Header* header) {
    ASAN_UNPOISON_MEMORY_REGION(header, sizeof(Header) + kAlign);
    to_system(header);
  }

  // Large blocks are mapped, from the start of a huge page; the header in front moves the data off
  // it by one line.
  static Header* from_system(size_t size) {
    void* p = nullptr;
    if (size < kHuge)
      return posix_memalign(&p, kAlign, size + kAlign) == 0 ? static_cast<Header*>(p) : nullptr;
    const size_t total = mapped(size);
    if (total < size) return nullptr;
    p = mmap(nullptr, total + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    char* const at = static_cast<char*>(p);
    const size_t front = -reinterpret_cast<uintptr_t>(at) & (kHuge - 1);
    if (front > 0) munmap(at, front);
    if (front < kHuge) munmap(at + front + total, kHuge - front);
#ifdef MADV_HUGEPAGE
    madvise(at + front, total & ~(kHuge - 1), MADV_HUGEPAGE);
#endif
    return reinterpret_cast<Header*>(at + front);
  }

  static void to_system(Header* header) {
    const size_t size = class_bytes(header->size_class);
    if (size < kHuge)
      std::free(header);
    else
      munmap(header, mapped(size));
  }

  // Bytes of the pages that hold a large block and its header.
  static size_t mapped(size_t size) {
    static const size_t page = sysconf(_SC_PAGESIZE);
    return (size + kAlign + page - 1) & ~(page - 1);
  }

  std::mutex mutex_;
  std::vector<Free> free_[kClasses];
  int64_t used_[kClasses] = {};  // the last request of each class
  MemoryStats stats_{};
  int64_t limit_ = int64_t{1} << 30;
};

}  // namespace

void* allocate(size_t bytes) { return Pool::get().allocate(bytes, false); }
void* allocate_zeroed(size_t bytes) { return Pool::get().allocate(bytes, true); }
void* scratch(size_t bytes) {
  void* block = allocate(bytes);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void release(void* block) { Pool::get().release(block); }
void trim() { Pool::get().trim(); }
void set_kept_limit(int64_t bytes) { Pool::get().set_limit(bytes); }
MemoryStats memory_stats() { return Pool::get().stats(); }
void reset_peak() { Pool::get().reset_peak(); }

}  // namespace mt
