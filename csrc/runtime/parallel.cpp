#include "parallel.h"

#include <pthread.h>

#include <algorithm>
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

using Clock = std::chrono::steady_clock;

// How often an idle thread looks for its next work before it offers the core to others: 300 looks
// take 2 to 12 us. A worker looks again and again, for longer than the gap between two kernels of a
// training step, which is 20 to 200 us where its data has driven the program out of the caches: to
// be woken takes 50.
constexpr int kSpins = 300, kMostSpins = 40000;

// A worker that shares its core with another process is sent away in the middle of a chunk, for 4
// ms that the caller waits. So it offers the core between two chunks, every kTurn. Was it away for
// kAway then, it rests for kWhile: three threads on two cores have two thirds of one each, and the
// caller alone has a whole one. Only a job that has taken kLong, and will as much again, is shared
// nevertheless.
constexpr std::chrono::milliseconds kTurn{2}, kAway{1}, kWhile{100};
constexpr std::chrono::microseconds kLong{100};

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
    const int64_t awake = std::max(1, limit_ - resting_.load(std::memory_order_relaxed));
    job_ = {body, context, chunks, int(std::min(awake, chunks)), turned()};
    for (int k = 0; k < job_.shares; ++k) {
      shares_[k].begin = chunks * k / job_.shares;
      shares_[k].next.store(shares_[k].begin, std::memory_order_relaxed);
      shares_[k].end = chunks * (k + 1) / job_.shares;
    }
    finished_.store(0, std::memory_order_relaxed);
    const uint64_t number = gate_.load(std::memory_order_relaxed) / kJob + 1;
    gate_.store(number * kJob | kOpen, std::memory_order_seq_cst);
    wake(sleepers_);
    bool shared = false;
    int64_t done = 0;
    Clock::time_point began{};
    draw(job_, 0, [&] {
      if (shared || resting_.load(std::memory_order_relaxed) == 0) return true;
      const auto now = Clock::now();
      if (began == Clock::time_point()) began = now;
      const auto took = now - began;
      if (took > kLong && took * (chunks - done - 1) > kLong * done) {
        shared = true;
        gate_.fetch_or(kLasts, std::memory_order_seq_cst);
        wake(resting_);
      }
      ++done;
      return true;
    });
    const uint64_t joined = gate_.fetch_and(~(kOpen | kLasts), std::memory_order_acq_rel) & kCount;
    for (int spins = 0; finished_.load(std::memory_order_acquire) < joined; ++spins) {
      if (spins < kMostSpins / 8)
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
  static constexpr uint64_t kJob = uint64_t(1) << 32, kOpen = kJob / 2, kLasts = kOpen / 2,
                            kCount = kLasts - 1;

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
    resting_.store(0);
    finished_.store(0);
    gate_.store(gate_.load() & ~(kOpen | kLasts | kCount));
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

  // Draws chunks until there are none, or `goes_on`, asked between two, says no; whether there are
  // none.
  template <class GoesOn>
  bool draw(const Job& job, int first, const GoesOn& goes_on) {
    bool between = false;
    for (int k = 0; k < job.shares; ++k) {
      Share& share = shares_[(first + k) % job.shares];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        if (between && !goes_on()) return false;
        between = true;
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
    return true;
  }

  void work(int id) {
    inside_ = true;  // a kernel called from a kernel stays on its thread
    uint64_t seen = 0;
    auto since = Clock::now(), lost = since - kWhile;  // when it was given the core, and lost it
    const auto in_turn = [&] { return Clock::now() - since < kTurn; };
    const auto rests = [&] { return since - lost < kWhile; };
    const auto offer = [&] {
      const auto before = Clock::now();
      std::this_thread::yield();
      since = Clock::now();
      if (since - before > kAway) lost = before;
    };
    const auto ready = [&](uint64_t gate) {
      return (gate & (rests() ? kLasts : kOpen)) && gate / kJob != seen && id < limit_ - 1;
    };
    for (;;) {
      uint64_t gate = gate_.load(std::memory_order_acquire);
      for (int spins = 1; spins < (rests() ? kSpins : kMostSpins) && !ready(gate); ++spins) {
        if (spins % kSpins == 0) offer();
        pause();
        gate = gate_.load(std::memory_order_acquire);
      }
      if (!ready(gate)) {
        std::unique_lock<std::mutex> lock(sleep_);
        std::atomic<int>& sleepers = rests() ? resting_ : sleepers_;
        const auto called = [&] { return ready(gate = gate_.load(std::memory_order_seq_cst)); };
        sleepers.fetch_add(1, std::memory_order_seq_cst);
        if (rests())
          wake_.wait_until(lock, lost + kWhile, called);
        else
          wake_.wait(lock, called);
        sleepers.fetch_sub(1, std::memory_order_seq_cst);
        since = Clock::now();
      }
      while (ready(gate)) {
        if (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) continue;
        if (draw(job_, id + 1, in_turn)) seen = gate / kJob;
        finished_.fetch_add(1, std::memory_order_release);
        if (!in_turn()) offer();
        break;
      }
    }
  }

  // Wakes those that wait, if any do.
  void wake(const std::atomic<int>& sleepers) {
    if (sleepers.load(std::memory_order_seq_cst) == 0) return;
    std::lock_guard<std::mutex> lock(sleep_);
    wake_.notify_all();
  }

  std::mutex owner_, sleep_;
  std::condition_variable wake_;
  std::atomic<int> limit_{1}, sleepers_{0}, resting_{0};
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
