// Where elements stand in order along the middle axis of x (outer, n, inner): equal ones in the
// order of their places, NaN after all others.
#include "../kernels.h"
#include "../runtime/memory.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "place.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kChunk = 1 << 14;  // elements that a thread takes at a time
constexpr int64_t kSide = 16;        // columns that are turned into rows together

template <class T>
struct KeyOf {
  using type = int32_t;
};
template <>
struct KeyOf<double> {
  using type = int64_t;
};
template <class T>
using Key = typename KeyOf<T>::type;
template <class T>
constexpr Key<T> kLast = static_cast<Key<T>>(~(Key<T>(1) << (8 * sizeof(T) - 1)));  // NaN

// Integers in the order of the numbers, or where the largest comes first, in the other one.
template <class T>
inline Mask<T> keys_of(Vec<T> v, bool largest) {
  Mask<T> key = bits<T>(v + 0);  // -0 is 0
  key ^= (key >> (8 * sizeof(T) - 1)) & kLast<T>;
  key = v != v ? Mask<T>{} + kLast<T> : key;
  return largest ? ~key : key;
}

template <class T>
inline Mask<T> load_keys(const Key<T>* p) {
  Mask<T> key;
  std::memcpy(&key, p, sizeof key);
  return key;
}

// rank[i] = how many of n <= kMostOrdered keys come before number i: each is compared with all, a
// vector of them at a time.
template <class T>
[[gnu::noinline]] void rank_all(Key<T>* rank, const Key<T>* key, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    Key<T> places[kLanes<T>];
    for (int k = 0; k < kLanes<T>; ++k) places[k] = static_cast<Key<T>>(i + k);
    const Mask<T> place = load_keys<T>(places);
    Mask<T> before{};
    const Mask<T> mine = load_keys<T>(key + i);
    int64_t j = 0;  // of equal ones the first comes first
    for (; j < i; ++j) before -= Mask<T>{} + key[j] <= mine;
    for (; j < n && j < i + kLanes<T>; ++j) {
      const Mask<T> other = Mask<T>{} + key[j];
      before -= (other < mine) | ((other == mine) & (place > static_cast<Key<T>>(j)));
    }
    for (; j < n; ++j) before -= Mask<T>{} + key[j] < mine;
    std::memcpy(rank + i, &before, sizeof before);
  }
}

// The first k keys of n <= kMostOrdered in order, and their places.
template <class T>
[[gnu::noinline]] void keep_first(Key<T>* key, int64_t* place, int64_t n, int64_t k) {
  Key<T> rank[kMostOrdered + kLanes<T>], from[kMostOrdered];
  int64_t at[kMostOrdered];
  rank_all<T>(rank, key, n);
  std::memcpy(from, key, n * sizeof *key);
  std::memcpy(at, place, n * sizeof *place);
  for (int64_t i = 0; i < n; ++i)
    if (rank[i] < k) {
      key[rank[i]] = from[i];
      place[rank[i]] = at[i];
    }
}

// index[0], index[step] ... = the places of what is wanted of a short line.
template <class T>
void order_short(int64_t* index, int64_t step, const T* x, int64_t n, int64_t k, Wanted wanted,
                 bool largest) {
  Key<T> key[kMostOrdered + kLanes<T>], rank[kMostOrdered + kLanes<T>];
  for (int64_t i = 0; i < n; i += kLanes<T>) {
    const int count = static_cast<int>(n - i < kLanes<T> ? n - i : kLanes<T>);
    const Mask<T> v = keys_of<T>(load_n(x + i, count), largest);
    std::memcpy(key + i, &v, sizeof v);
  }
  rank_all<T>(rank, key, n);
  if (wanted == kTop) {
    if (k == n)
      for (int64_t i = 0; i < n; ++i) index[rank[i] * step] = i;
    else
      for (int64_t i = 0; i < n; ++i)
        if (rank[i] < k) index[rank[i] * step] = i;
    return;
  }
  const int64_t number = wanted == kNumber ? k - 1 : (n - 1) / 2;
  Key<T> value = 0;
  for (int64_t i = 0; i < n; ++i)
    if (rank[i] == number) value = key[i];
  if (wanted == kMiddle)
    for (int64_t i = 0; i < n; ++i)
      if (key[i] == kLast<T>) value = key[i];
  int64_t first = 0;
  while (key[first] != value) ++first;
  *index = first;
}

// Room for the first k of a long line and for those that may take their place: to find which
// remain takes its square.
inline int64_t room_for(int64_t k) {
  constexpr int64_t kLeast = 32;
  return k < kLeast / 2 ? kLeast : 2 * k < kMostOrdered ? 2 * k : kMostOrdered;
}

// The places of the first k <= kMostTop of a long line in order. What comes before the last of the
// best k so far is kept beside them, until there is no room: then the best of both remain.
template <class T>
void top_of_long(int64_t* index, int64_t step, const T* x, int64_t n, int64_t k, bool largest) {
  constexpr int L = kLanes<T>, kMany = 4;
  const int64_t room = room_for(k);
  Key<T> key[kMostOrdered + L], lane[L];
  int64_t place[kMostOrdered], have = 0;
  Key<T> limit = 0;
  T edge = 0;
  bool full = false;                  // whether there is a limit yet
  const auto none = [&](int64_t i) {  // of kMany vectors; where there is a NaN, it is looked at
    Mask<T> some{};
    for (int64_t j = i; j < i + kMany * L; j += L) {
      const Vec<T> v = load(x + j);
      some |= ~(largest ? v <= edge : v >= edge);
    }
    return !any<T>(some);
  };
  for (int64_t i = 0; i < n; i += L) {
    if (full)
      while (i + kMany * L <= n && none(i)) i += kMany * L;
    if (i >= n) break;
    const int count = static_cast<int>(n - i < L ? n - i : L);
    const Mask<T> v = keys_of<T>(load_n(x + i, count), largest);
    std::memcpy(lane, &v, sizeof v);
#pragma GCC unroll 1
    for (int c = 0; c < count; ++c) {
      if (full && lane[c] >= limit) continue;
      if (have == room) {
        keep_first<T>(key, place, have, k);
        have = k;
        limit = key[k - 1];
        edge = x[place[k - 1]];
        full = true;
        if (lane[c] >= limit) continue;
      }
      key[have] = lane[c];
      place[have++] = i + c;
    }
  }
  keep_first<T>(key, place, have, k);
  for (int64_t r = 0; r < k; ++r) index[r * step] = place[r];
}

// Whether the first k of n are found sooner one after the other: a walk for each.
constexpr int64_t kMostSearched = 1024;
template <class T>
inline bool few(int64_t n, int64_t k) {
  return n <= kMostSearched && 32 * k <= n && k * n <= 200 * kLanes<T>;
}

// The places of the first k in order: of the elements that come after the last one found, the
// first, by key and then by place.
template <class T>
[[gnu::noinline]] void top_few(int64_t* index, int64_t step, const T* x, int64_t n, int64_t k,
                               bool largest) {
  constexpr int L = kLanes<T>;
  Key<T> key[kMostSearched + L], lane[L], where[L];
  for (int64_t i = 0; i < n; i += L) {
    const int count = static_cast<int>(n - i < L ? n - i : L);
    const Mask<T> v = keys_of<T>(load_n(x + i, count), largest);
    std::memcpy(key + i, &v, sizeof v);
    for (int c = count; c < L; ++c) key[i + c] = kLast<T>;
  }
  Key<T> last = ~kLast<T>, at = -1;
  for (int64_t r = 0; r < k; ++r) {
    for (int c = 0; c < L; ++c) lane[c] = static_cast<Key<T>>(c);
    Mask<T> place = load_keys<T>(lane), best = Mask<T>{} + kLast<T>;
    Mask<T> found = Mask<T>{} + static_cast<Key<T>>(n);
    for (int64_t i = 0; i < n; i += L, place += L) {
      const Mask<T> v = load_keys<T>(key + i);
      const Mask<T> sooner = (v < best) & ((v > last) | ((v == last) & (place > at)));
      best = sooner ? v : best;
      found = sooner ? place : found;
    }
    std::memcpy(lane, &best, sizeof best);
    std::memcpy(where, &found, sizeof found);
    Key<T> least = kLast<T>, first = static_cast<Key<T>>(n);
    for (int c = 0; c < L; ++c)
      if (lane[c] < least || (lane[c] == least && where[c] < first))
        least = lane[c], first = where[c];
    if (first == n)  // only the last of all keys are left
      for (first = last == kLast<T> ? at + 1 : 0; key[first] != kLast<T>;) ++first;
    index[r * step] = at = first;
    last = least;
  }
}

// index = the places of the first k in order (kTop), or of the first element that equals number k
// (kNumber) or the median (kMiddle, the first NaN if there is one). n <= kMostOrdered, or for kTop
// k <= kMostTop.
template <class T>
void order(int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner, int64_t k,
           Wanted wanted, bool largest) {
  if (outer == 0 || n == 0 || inner == 0 || k == 0) return;
  const int64_t outputs = wanted == kTop ? k : 1, sides = (inner + kSide - 1) / kSide;
  const int64_t width = inner < kSide ? inner : kSide;
  const bool searched = wanted == kTop && few<T>(n, k);
  const int64_t cost = searched            ? k * (n / 4 + 16)
                       : n <= kMostOrdered ? 8 * n
                                           : n + room_for(k) * room_for(k) / 2;
  for_even_ranges(outer * sides, 1 + kChunk / (width * cost), [&](int64_t begin, int64_t end) {
    T* const rows = inner > 1 ? static_cast<T*>(scratch(kSide * n * sizeof(T))) : nullptr;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t o = task / sides, column = task % sides * kSide;
      const int64_t columns = inner - column < kSide ? inner - column : kSide;
      const T* from = x + o * n * inner + column;
      if (inner > 1) {
        for (int64_t j = 0; j < n; ++j)
          for (int64_t c = 0; c < columns; ++c) rows[c * n + j] = from[j * inner + c];
        from = rows;
      }
      for (int64_t c = 0; c < columns; ++c) {
        int64_t* const to = index + o * outputs * inner + column + c;
        if (searched)
          top_few(to, inner, from + c * n, n, k, largest);
        else if (n <= kMostOrdered)
          order_short(to, inner, from + c * n, n, k, wanted, largest);
        else
          top_of_long(to, inner, from + c * n, n, k, largest);
      }
    }
    if (rows != nullptr) release(rows);
  });
}

}  // namespace

MT_KERNEL(order, order)

}  // namespace mt::MT_ISA
