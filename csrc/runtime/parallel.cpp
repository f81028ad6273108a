#include "parallel.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mt {
namespace {

// How often an idle thread looks for its next work before it lets others have the core: 300 looks
// take 2 to 12 us. A worker looks for longer than the gap between two kernels of a training step,
// which is 20 to 200 us where its data has driven the program out of the caches: to be woken takes
// 50. But who looks on and on is not given the core when there is work: for a while after another
// process has taken it, a worker soon sleeps.
constexpr int kSpins = 300, kMostSpins = 40000;
constexpr std::chrono::microseconds kAway{50};  // for which a thread is known to have lost its core
constexpr std::chrono::milliseconds kWhile{300};

constexpr int kMost = 1024;  // threads

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

struct Job {
  void (*body)(void*, int64_t) = nullptr;
  void* context = nullptr;
  int64_t chunks = 0;
  int shares = 0;
  bool down = false;
};

// The chunks that one thread begins with: a thread that works on the same share of every array
// finds it in its own cache. When its share is drawn it goes on with the others'.
struct alignas(64) Share {
  std::atomic<int64_t> next{0};
  int64_t begin = 0, end = 0;
};

// One job goes through its chunks upwards, the next one downwards: it begins with what the last one
// touched, which the cache still holds. Of arrays of 1 to 4 times the cache that saves a third.
thread_local bool turn = false;
bool turned() { return turn = !turn; }

// One job at a time. `gate` packs the job's number and how many workers have joined it: (number <<
// 16) | joined, with kOpen set while it may be joined. A worker joins by raising the count, so the
// caller, which closes the gate when the chunks are drawn, knows exactly whom to wait for; a worker
// that comes late finds the gate closed and touches nothing.
class Pool {
 public:
  static Pool& get() {
    static Pool* pool = new Pool;  // never destroyed: workers may outlive static destructors
    return *pool;
  }

  void run(int64_t chunks, void (*body)(void*, int64_t), void* context) {
    if (chunks == 1 || limit_ == 1 || inside_ || !owner_.try_lock()) {
      const bool down = chunks > 1 && !inside_ && turned();
      for (int64_t c = 0; c < chunks; ++c) body(context, down ? chunks - 1 - c : c);
      return;
    }
    inside_ = true;
    grow();
    job_ = {body, context, chunks, limit_ < chunks ? int(limit_) : int(chunks), turned()};
    for (int k = 0; k < job_.shares; ++k) {
      shares_[k].begin = chunks * k / job_.shares;
      shares_[k].next.store(shares_[k].begin, std::memory_order_relaxed);
      shares_[k].end = chunks * (k + 1) / job_.shares;
    }
    finished_.store(0, std::memory_order_relaxed);
    const uint64_t number = (gate_.load(std::memory_order_relaxed) >> 16) + 1;
    gate_.store(number << 16 | kOpen, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      std::lock_guard<std::mutex> lock(sleep_);
      wake_.notify_all();
    }
    draw(job_, 0);
    const uint64_t joined = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & kCount;
    for (int spins = 0; finished_.load(std::memory_order_acquire) < joined; ++spins) {
      if (spins < kSpins)
        pause();
      else
        std::this_thread::yield();
    }
    inside_ = false;
    const std::exception_ptr error = std::exchange(error_, nullptr);
    owner_.unlock();
    if (error) std::rethrow_exception(error);
  }

  void set_limit(int n) { limit_ = n; }
  int limit() const { return limit_; }

 private:
  static constexpr uint64_t kOpen = 0x8000, kCount = 0x7fff;  // so at most kMost threads

  Pool() {
    pthread_atfork(nullptr, nullptr, [] { get().forget(); });
    const unsigned cores = std::thread::hardware_concurrency();
    limit_ = cores ? static_cast<int>(cores) : 1;
  }

  // In a forked child no worker exists, whatever the parent had, and no lock is held by a living
  // thread.
  void forget() {
    workers_ = 0;
    sleepers_.store(0);
    finished_.store(0);
    gate_.store(gate_.load() & ~(kOpen | kCount));
    new (&owner_) std::mutex;
    new (&sleep_) std::mutex;
    new (&wake_) std::condition_variable;
    inside_ = false;
  }

  void grow() {
    while (workers_ < limit_ - 1) {
      try {
        std::thread([this, id = workers_] { work(id); }).detach();
      } catch (const std::system_error&) {
        return;  // no thread to be had: those that exist and the caller do the work
      }
      ++workers_;
    }
  }

  void draw(const Job& job, int first) {
    for (int k = 0; k < job.shares; ++k) {
      Share& share = shares_[(first + k) % job.shares];
      for (;;) {
        const int64_t c = share.next.fetch_add(1, std::memory_order_relaxed);
        if (c >= share.end) break;
        try {
          job.body(job.context, job.down ? share.begin + share.end - 1 - c : c);
        } catch (...) {
          std::lock_guard<std::mutex> lock(sleep_);
          error_ = std::current_exception();
        }
      }
    }
  }

  void work(int id) {
    inside_ = true;  // a kernel called from a kernel stays on its thread
    uint64_t seen = 0;
    std::chrono::steady_clock::time_point lost;  // when it last lost its core
    for (;;) {
      uint64_t gate = gate_.load(std::memory_order_acquire);
      auto looked = std::chrono::steady_clock::now();
      int most = looked - lost < kWhile ? kSpins : kMostSpins;
      for (int spins = 0; spins < most && !joinable(gate, seen, id); ++spins) {
        pause();
        gate = gate_.load(std::memory_order_acquire);
        if (spins % 64 > 0) continue;
        const auto now = std::chrono::steady_clock::now();
        if (now - looked > kAway) lost = now, most = kSpins;
        looked = now;
      }
      if (!joinable(gate, seen, id)) {
        std::unique_lock<std::mutex> lock(sleep_);
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, [&] {
          gate = gate_.load(std::memory_order_seq_cst);
          return joinable(gate, seen, id);
        });
        sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      }
      while (joinable(gate, seen, id)) {
        if (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) continue;
        seen = gate >> 16;
        draw(job_, id + 1);
        finished_.fetch_add(1, std::memory_order_release);
        break;
      }
    }
  }

  bool joinable(uint64_t gate, uint64_t seen, int id) const {
    return (gate & kOpen) && gate >> 16 != seen && id < limit_ - 1;
  }

  std::mutex owner_, sleep_;
  std::condition_variable wake_;
  std::atomic<int> limit_{1}, sleepers_{0};
  int workers_ = 0;           // guarded by owner_
  Job job_;                   // written by the owner while the gate is closed
  std::exception_ptr error_;  // of any chunk; guarded by sleep_ until the workers are done
  alignas(64) std::atomic<uint64_t> gate_{0};
  Share shares_[kMost];  // likewise, but for `next`
  alignas(64) std::atomic<uint64_t> finished_{0};
  static thread_local bool inside_;
};

thread_local bool Pool::inside_ = false;

}  // namespace

void parallel(int64_t chunks, void (*body)(void*, int64_t), void* context) {
  if (chunks > 0) Pool::get().run(chunks, body, context);
}

void set_num_threads(int n) { Pool::get().set_limit(n < 1 ? 1 : n > kMost ? kMost : n); }
int num_threads() { return Pool::get().limit(); }

}  // namespace mt
