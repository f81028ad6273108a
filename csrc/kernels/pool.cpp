// Max and average pooling over planes (h, w) -> (oh, ow). Window (i, j) begins at row i*sh - ph,
// column j*sw - pw.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../kernels.h"
#include "../runtime/memory.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "lookup.h"

namespace mt::MT_ISA {
namespace {

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Runs f(plane) for all planes, by threads where there is work for them: an element costs about a
// nanosecond, and threads pay from 2^13 on (bench/scaling.py --crossover).
template <class F>
void for_planes(bool threads, int64_t planes, int64_t size, const F& f) {
  const int64_t grain = threads ? 1 + (1 << 12) / most(size, 1) : most(planes, 1);
  for_ranges(planes, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

// --- windows by a table --------------------------------------------------------------------------
//
// Where rows do not fill vectors, the lanes of a vector are outputs one behind another, whatever
// their row and plane, and a table says where each of them finds its taps.

// The elements of an axis that a window covers.
struct Covered {
  int64_t first, count, step;
};

// Whether the places are small numbers and the table is not larger than the work.
inline bool fits_table(int64_t inputs, int64_t outputs) {
  return inputs <= 1 << 26 && outputs <= 1 << 18;
}

// The places of the taps of some planes' outputs: that of tap (a, b) is down[a] + right[b].
struct Table {
  int64_t outputs, size;        // of a plane of outputs, and of inputs
  int64_t together = 1, n = 0;  // planes, and whole vectors of their outputs
  int64_t high = 1, wide = 1;   // most taps
  int32_t* base;                // where an output's plane begins
  int32_t *rows, *cols;         // how many taps it has
  int32_t *down, *right;        // [tap][output]

  // rows (oh), cols (ow); w is the width of a plane of inputs, `lanes` those of a vector
  __attribute__((noinline)) Table(const Covered* v, int64_t oh, const Covered* h, int64_t ow,
                                  int64_t w, int64_t size, int64_t planes, int lanes)
      : outputs(oh * ow), size(size) {
    int64_t whole = lanes;  // planes whose outputs fill vectors
    while (whole > 1 && outputs * whole / 2 % lanes == 0) whole /= 2;
    together =
        least(outputs * whole <= 1024 ? whole : ceil_div(4 * lanes, outputs), ceil_div(planes, 8));
    n = ceil_div(outputs * together, lanes) * lanes;
    for (int64_t i = 0; i < oh; ++i) high = most(high, v[i].count);
    for (int64_t j = 0; j < ow; ++j) wide = most(wide, h[j].count);
    base = static_cast<int32_t*>(scratch((high + wide + 3) * n * sizeof(int32_t)));
    rows = base + n, cols = rows + n, down = cols + n, right = down + high * n;
    std::memset(base, 0, (high + wide + 3) * n * sizeof(int32_t));
    // Where a window has fewer taps, its last one is repeated.
    const auto tap = [](const Covered& c, int64_t a) {
      return c.first + most(0, least(a, c.count - 1)) * c.step;
    };
    for (int64_t i = 0; i < oh * together; ++i) {
      const int64_t plane = i / oh * size;
      const Covered& row = v[i % oh];
      for (int64_t j = 0; j < ow; ++j) {
        int32_t* to = base + i * ow + j;
        to[0] = plane, to[n] = row.count, to[2 * n] = h[j].count;
        to += 3 * n;
        for (int64_t a = 0; a < high; ++a, to += n) *to = plane + tap(row, a) * w;
        for (int64_t b = 0; b < wide; ++b, to += n) *to = tap(h[j], b);
      }
    }
  }
  ~Table() { release(base); }
  Table(const Table&) = delete;

  // f(the first of a vector of outputs, how many there are, its place in the table, the first
  // plane of those that the table counts from), for all planes
  template <class T, class F>
  void each(bool threads, int64_t planes, const F& f) const {
    const int64_t groups = ceil_div(planes, together);
    for_planes(threads, groups, n * (high * wide + 1), [&](int64_t group) {
      const int64_t plane = group * together, left = least(together, planes - plane) * outputs;
      for (int64_t k = 0; k < left; k += kLanes<T>)
        f(plane * outputs + k, static_cast<int>(least(kLanes<T>, left - k)), k, plane);
    });
  }
};

// --- max pooling ---------------------------------------------------------------------------------

// The taps 0..k-1 of a window that lie inside: start + tap*step in [0, size).
struct Taps {
  int64_t begin, end;
  Taps(int64_t start, int64_t step, int64_t k, int64_t size)
      : begin(start < 0 ? ceil_div(-start, step) : 0),
        end(start < size ? least(k, (size - 1 - start) / step + 1) : 0) {}
};

// y = max of the window, idx = where in the plane it was found: the first of equal ones in
// row-major order, a NaN before all numbers.  x (h, w), y and idx (oh, ow); outputs j0 <= j < j1 of
// row i
template <class T>
void max_one_by_one(T* y, int32_t* idx, const T* x, const Pool2d& p, int64_t i, int64_t j0,
                    int64_t j1) {
  const int64_t top = i * p.sh - p.ph;
  const Taps rows(top, p.dh, p.kh, p.h);
  for (int64_t j = j0; j < j1; ++j) {
    const int64_t left = j * p.sw - p.pw;
    const Taps cols(left, p.dw, p.kw, p.w);
    int64_t best = (top + rows.begin * p.dh) * p.w + left + cols.begin * p.dw;
    for (int64_t a = rows.begin; a < rows.end; ++a)
      for (int64_t b = cols.begin; b < cols.end; ++b) {
        const int64_t at = (top + a * p.dh) * p.w + left + b * p.dw;
        if (x[at] > x[best] || (x[at] != x[at] && x[best] == x[best])) best = at;
      }
    y[i * p.ow + j] = x[best];
    idx[i * p.ow + j] = static_cast<int32_t>(best);
  }
}

template <class T>
void max_naive(T* y, int32_t* idx, const T* x, int64_t planes, const Pool2d& p) {
  for (int64_t c = 0; c < planes; ++c)
    for (int64_t i = 0; i < p.oh; ++i)
      max_one_by_one(y + c * p.oh * p.ow, idx + c * p.oh * p.ow, x + c * p.h * p.w, p, i, 0, p.ow);
}

// p[0], p[S], p[2S] ...: the neighbours' elements under one tap. Reads S * kLanes elements.
template <class T, int S>
inline Vec<T> every(const T* p) {
  if constexpr (S == 1) return load<T>(p);
#if defined(__GNUC__) && !defined(__clang__)
  if constexpr (S % 2 == 0) {
    Mask<T> even;
    for (int i = 0; i < kLanes<T>; ++i) even[i] = 2 * i;
    return __builtin_shuffle(every<T, S / 2>(p), every<T, S / 2>(p + S / 2 * kLanes<T>), even);
  }
#endif
  Vec<T> v;
  for (int i = 0; i < kLanes<T>; ++i) v[i] = p[i * S];
  return v;
}

// The n lowest lanes of `place`.
template <class T>
inline void store_places(int32_t* idx, Mask<T> place, int n) {
  int32_t found[kLanes<T>];
  for (int i = 0; i < kLanes<T>; ++i) found[i] = static_cast<int32_t>(place[i]);
  if (n == kLanes<T>)
    std::memcpy(idx, found, sizeof found);
  else
    for (int i = 0; i < n; ++i) idx[i] = found[i];
}

// n neighbouring windows of H x K, or if these are 0 of p's size, at step S inside the image (from
// x, at place `at` of the plane, memory ending at `end`), a vector of windows at a time, in
// registers.
constexpr int64_t kMostRead = 1024;  // elements for a vector of windows

template <class T, int H, int K, int S>
void max_window(T* y, int32_t* idx, const T* x, const T* end, int64_t at, const Pool2d& p,
                int64_t n) {
  const int64_t high = H ? H : p.kh, wide = K ? K : p.kw, dh = H ? 1 : p.dh, dw = K ? 1 : p.dw;
  const int64_t reads = S * kLanes<T> + (wide - 1) * dw, w = p.w;
  Mask<T> steps;
  for (int i = 0; i < kLanes<T>; ++i) steps[i] = i * S;
  for (int64_t j = 0; j < n; j += kLanes<T>) {
    const int count = static_cast<int>(least(kLanes<T>, n - j));
    const T* row = x + j * S;
    int64_t stride = dh * w;
    T copy[H * K ? H * (S * kLanes<T> + K - 1) : kMostRead];
    if (end - row < (high - 1) * stride + reads) {  // a full vector would be read beyond the end
      for (int64_t a = 0; a < high; ++a)
        std::memcpy(copy + a * reads, row + a * stride,
                    ((count - 1) * S + (wide - 1) * dw + 1) * sizeof(T));
      row = copy;
      stride = reads;
    }
    Vec<T> m = every<T, S>(row);
    Mask<T> place{};
    const auto tap = [&](int64_t a, int64_t b) {
      const Vec<T> v = every<T, S>(row + a * stride + b * dw);
      const Mask<T> wins = (v > m) | ((v != v) & (m == m));
      m = select<T>(wins, v, m);
      place = wins ? Mask<T>{} + static_cast<int32_t>(a * dh * w + b * dw) : place;
    };
    if constexpr (H * K > 0) {
#pragma GCC unroll 8
      for (int k = 1; k < H * K; ++k) tap(k / K, k % K);
    } else {
      for (int64_t a = 0; a < high; ++a)
        for (int64_t b = a == 0; b < wide; ++b) tap(a, b);
    }
    store_n<T>(y + j, m, count);
    place += steps + static_cast<int32_t>(at + j * S);
    store_places<T>(idx + j, place, count);
  }
}

template <class T>
using max_window_fn = void (*)(T*, int32_t*, const T*, const T*, int64_t, const Pool2d&, int64_t);

template <class T>
max_window_fn<T> find_max_window(const Pool2d& p) {
  if (p.dh == 1 && p.dw == 1) {
    const bool row = p.kh == 1;
    if (row || p.kh == p.kw) {
      if (p.kw == 2 && p.sw == 2) return row ? max_window<T, 1, 2, 2> : max_window<T, 2, 2, 2>;
      if (p.kw == 3 && p.sw == 2) return row ? max_window<T, 1, 3, 2> : max_window<T, 3, 3, 2>;
      if (p.kw == 3 && p.sw == 1) return row ? max_window<T, 1, 3, 1> : max_window<T, 3, 3, 1>;
      if (p.kw == 4 && p.sw == 4 && row) return max_window<T, 1, 4, 4>;
    }
  }
  if (p.kh > kMostRead || (p.kw - 1) * p.dw > kMostRead ||
      p.kh * (2 * kLanes<T> + (p.kw - 1) * p.dw) > kMostRead)
    return nullptr;
  return p.sw == 1 ? max_window<T, 0, 0, 1> : p.sw == 2 ? max_window<T, 0, 0, 2> : nullptr;
}

template <class T>
void max_by_table(bool threads, T* y, int32_t* idx, const T* x, int64_t planes, const Pool2d& p) {
  Covered* windows = static_cast<Covered*>(scratch((p.oh + p.ow) * sizeof(Covered)));
  for (int64_t i = 0; i < p.oh; ++i) {
    const Taps taps(i * p.sh - p.ph, p.dh, p.kh, p.h);
    windows[i] = {i * p.sh - p.ph + taps.begin * p.dh, taps.end - taps.begin, p.dh};
  }
  for (int64_t j = 0; j < p.ow; ++j) {
    const Taps taps(j * p.sw - p.pw, p.dw, p.kw, p.w);
    windows[p.oh + j] = {j * p.sw - p.pw + taps.begin * p.dw, taps.end - taps.begin, p.dw};
  }
  const Table table(windows, p.oh, windows + p.oh, p.ow, p.w, p.h * p.w, planes, kLanes<T>);
  release(windows);
  table.each<T>(threads, planes, [&](int64_t out, int count, int64_t k, int64_t plane) {
    const T* from = x + plane * table.size;
    const Mask<T> lanes = first_lanes<T>(count);
    Mask<T> place = (places<T>(table.down + k) + places<T>(table.right + k)) & lanes;
    Vec<T> m = look_up(from, place);
    for (int64_t a = 0; a < table.high; ++a)
      for (int64_t b = a == 0; b < table.wide; ++b) {
        const Mask<T> at =
            (places<T>(table.down + a * table.n + k) + places<T>(table.right + b * table.n + k)) &
            lanes;
        const Vec<T> v = look_up(from, at);
        const Mask<T> wins = (v > m) | ((v != v) & (m == m));
        m = select<T>(wins, v, m);
        place = wins ? at : place;
      }
    store_n<T>(y + out, m, count);
    store_places<T>(idx + out, place - places<T>(table.base + k), count);
  });
}

template <class T>
void max_planes(bool threads, T* y, int32_t* idx, const T* x, int64_t planes, const Pool2d& p) {
  const max_window_fn<T> window = find_max_window<T>(p);
  // Windows that reach into the padding, at both ends of a row, are made one by one.
  const int64_t room = p.ph + p.pw > 0 ? p.ow : 2 * p.ow;
  if ((window == nullptr || room < kLanes<T>) && fits_table(p.h * p.w, p.oh * p.ow))
    return max_by_table(threads, y, idx, x, planes, p);
  // Outputs j0 <= j < j1 have their whole window inside, in rows where that holds for i.
  const int64_t j0 = least(ceil_div(p.pw, p.sw), p.ow);
  const int64_t tall = (p.kh - 1) * p.dh + 1, wide = (p.kw - 1) * p.dw + 1;
  const int64_t j1 = p.w + p.pw < wide ? j0 : most(j0, least(p.ow, (p.w + p.pw - wide) / p.sw + 1));
  const T* const end = x + planes * p.h * p.w;
  const int64_t taps = p.kh * p.kw * p.oh * p.ow;  // four of which go by in a nanosecond
  for_planes(threads, planes, window ? taps / 4 : taps, [&](int64_t c) {
    T* out = y + c * p.oh * p.ow;
    int32_t* at = idx + c * p.oh * p.ow;
    const T* in = x + c * p.h * p.w;
    for (int64_t i = 0; i < p.oh; ++i) {
      const int64_t top = i * p.sh - p.ph;
      if (window == nullptr || top < 0 || top + tall > p.h) {
        max_one_by_one(out, at, in, p, i, 0, p.ow);
        continue;
      }
      const int64_t from = top * p.w + j0 * p.sw - p.pw;
      max_one_by_one(out, at, in, p, i, 0, j0);
      window(out + i * p.ow + j0, at + i * p.ow + j0, in + from, end, from, p, j1 - j0);
      max_one_by_one(out, at, in, p, i, j1, p.ow);
    }
  });
}
template <class T>
void max_blocked(T* y, int32_t* idx, const T* x, int64_t planes, const Pool2d& p) {
  if (fits_table(p.h * p.w, p.oh * p.ow)) return max_by_table(false, y, idx, x, planes, p);
  max_naive(y, idx, x, planes, p);
}
template <class T>
void max_simd(T* y, int32_t* idx, const T* x, int64_t planes, const Pool2d& p) {
  max_planes(false, y, idx, x, planes, p);
}
template <class T>
void max_fast(T* y, int32_t* idx, const T* x, int64_t planes, const Pool2d& p) {
  max_planes(true, y, idx, x, planes, p);
}

// forward was y[k] = x[idx[k]], so dx[idx[k]] += g[k].  dx (planes, size), g and idx (planes,
// outputs) An index outside the plane is passed over: memory stays safe whoever made it.
template <class T>
void max_vjp(T* dx, const T* g, const int32_t* idx, int64_t planes, int64_t size, int64_t outputs) {
  for_planes(true, planes, size + outputs, [&](int64_t c) {
    T* out = dx + c * size;
    std::memset(out, 0, size * sizeof(T));
    for (int64_t k = c * outputs; k < (c + 1) * outputs; ++k)
      if (idx[k] >= 0 && idx[k] < size) out[idx[k]] += g[k];
  });
}

// y[k] = x[idx[k]]: the transpose of max_vjp
template <class T>
void max_gather(T* y, const T* x, const int32_t* idx, int64_t planes, int64_t size,
                int64_t outputs) {
  for_planes(true, planes, size + outputs, [&](int64_t c) {
    const T* in = x + c * size;
    for (int64_t k = c * outputs; k < (c + 1) * outputs; ++k)
      y[k] = idx[k] >= 0 && idx[k] < size ? in[idx[k]] : T(0);
  });
}

// --- average pooling -----------------------------------------------------------------------------

// y[i,j] = sum of x over rows[i] x cols[j] / (rows[i].count * cols[j].count).  x (h, w), y (oh, ow)
template <class T>
void avg_naive(T* y, const T* x, int64_t planes, int64_t h, int64_t w, int64_t oh, int64_t ow,
               const Window* rows, const Window* cols) {
  for (int64_t c = 0; c < planes; ++c, x += h * w)
    for (int64_t i = 0; i < oh; ++i)
      for (int64_t j = 0; j < ow; ++j) {
        T total = 0;
        for (int64_t a = rows[i].begin; a < rows[i].end; ++a)
          for (int64_t b = cols[j].begin; b < cols[j].end; ++b) total += x[a * w + b];
        *y++ = total / static_cast<T>(rows[i].count * cols[j].count);
      }
}

// The stretch of windows begin <= j < end, the longest at the middle, that have one width and stand
// one step apart.
struct Regular {
  int64_t begin, end, width, step;
  Regular(const Window* cols, int64_t n) : begin(n / 2), end(n / 2), width(0), step(0) {
    if (n == 0) return;
    width = cols[begin].end - cols[begin].begin;
    step = begin + 1 < n ? cols[begin + 1].begin - cols[begin].begin : 1;
    const int64_t origin = cols[begin].begin - begin * step;
    const auto fits = [&](int64_t j) {
      return cols[j].begin == origin + j * step && cols[j].end - cols[j].begin == width &&
             cols[j].count == cols[n / 2].count;
    };
    while (begin > 0 && fits(begin - 1)) --begin;
    while (end < n && fits(end)) ++end;
  }
};

// y[j] += x[j*step]
template <class T, int kStep>
inline void add_every(T* __restrict y, const T* __restrict x, int64_t n, int64_t step) {
  if (kStep) step = kStep;
  for (int64_t j = 0; j < n; ++j) y[j] += x[j * step];
}

constexpr int64_t kWidest = 4096;  // columns of a plane for which there is room on the stack

// The sum of n neighbouring values.
template <class T>
inline T total_of(const T* x, int64_t n) {
  constexpr int L = kLanes<T>;
  Vec<T> total[4] = {};
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L)
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) total[v] += load<T>(x + i + v * L);
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v, i += L)
    if (i < n) total[v] += load_n<T>(x + i, static_cast<int>(least(L, n - i)));
  return sum<T>((total[0] + total[1]) + (total[2] + total[3]));
}

// A sum over a window is a sum over its rows, column by column, then over columns: both side by
// side for neighbours.
template <class T>
void avg_plane(T* y, const T* x, int64_t w, int64_t oh, int64_t ow, const Window* rows,
               const Window* cols, const Regular& regular) {
  if (ow == 1 &&
      cols[0].end - cols[0].begin == w) {  // windows of whole rows: one stretch of memory
    for (int64_t i = 0; i < oh; ++i)
      y[i] = total_of(x + rows[i].begin * w, (rows[i].end - rows[i].begin) * w) /
             static_cast<T>(rows[i].count * cols[0].count);
    return;
  }
  T column[kWidest];
  for (int64_t i = 0; i < oh; ++i, y += ow) {
    std::memset(column, 0, w * sizeof(T));
    for (int64_t a = rows[i].begin; a < rows[i].end; ++a) add_every<T, 1>(column, x + a * w, w, 1);
    for (int64_t j = 0; j < ow; ++j) {
      if (j == regular.begin) j = regular.end;
      if (j == ow) break;
      T total = 0;
      for (int64_t b = cols[j].begin; b < cols[j].end; ++b) total += column[b];
      y[j] = total / static_cast<T>(rows[i].count * cols[j].count);
    }
    const int64_t n = regular.end - regular.begin;
    if (n == 0) continue;
    T* out = y + regular.begin;
    const T* in = column + cols[regular.begin].begin;
    std::memset(out, 0, n * sizeof(T));
    for (int64_t b = 0; b < regular.width; ++b) {
      if (regular.step == 1)
        add_every<T, 1>(out, in + b, n, 1);
      else if (regular.step == 2)
        add_every<T, 2>(out, in + b, n, 2);
      else
        add_every<T, 0>(out, in + b, n, regular.step);
    }
    const T count = static_cast<T>(rows[i].count * cols[regular.begin].count);
    for (int64_t j = 0; j < n; ++j) out[j] /= count;
  }
}

// y[k] = the sum of x over the taps of k, divided by its count where there is one
template <class T>
void sum_by_table(bool threads, T* y, const T* x, const T* count_of, int64_t planes,
                  const Table& table) {
  table.each<T>(threads, planes, [&](int64_t out, int count, int64_t k, int64_t plane) {
    const T* from = x + plane * table.size;
    const Mask<T> lanes = first_lanes<T>(count);
    const Mask<T> rows = places<T>(table.rows + k), cols = places<T>(table.cols + k);
    Vec<T> total{};
    for (int32_t a = 0; a < table.high; ++a) {
      const Mask<T> down = places<T>(table.down + a * table.n + k);
      for (int32_t b = 0; b < table.wide; ++b) {
        const Mask<T> right = places<T>(table.right + b * table.n + k);
        const Vec<T> v = look_up(from, (down + right) & lanes);
        total += select<T>((rows > a) & (cols > b), v, Vec<T>{});
      }
    }
    store_n<T>(y + out, count_of ? total / load(count_of + k) : total, count);
  });
}

// What the sums of n outputs are divided by, plane after plane.
template <class T>
__attribute__((noinline)) void counts(T* count, int64_t n, const Window* rows, int64_t oh,
                                      const Window* cols, int64_t ow) {
  for (int64_t k = 0; k < n; ++k)
    count[k] = static_cast<T>(rows[k / ow % oh].count * cols[k % ow].count);
}

template <class T>
void avg_by_table(bool threads, T* y, const T* x, int64_t planes, int64_t h, int64_t w, int64_t oh,
                  int64_t ow, const Window* rows, const Window* cols) {
  Covered* windows = static_cast<Covered*>(scratch((oh + ow) * sizeof(Covered)));
  for (int64_t i = 0; i < oh + ow; ++i) {
    const Window& one = i < oh ? rows[i] : cols[i - oh];
    windows[i] = {one.begin, one.end - one.begin, 1};
  }
  const Table table(windows, oh, windows + oh, ow, w, h * w, planes, kLanes<T>);
  release(windows);
  T* count = static_cast<T*>(scratch(table.n * sizeof(T)));
  counts(count, table.n, rows, oh, cols, ow);
  sum_by_table(threads, y, x, count, planes, table);
  release(count);
}

template <class T>
void avg_planes(bool threads, T* y, const T* x, int64_t planes, int64_t h, int64_t w, int64_t oh,
                int64_t ow, const Window* rows, const Window* cols) {
  if (w > kWidest) return avg_naive(y, x, planes, h, w, oh, ow, rows, cols);
  if (ow <= kLanes<T> && oh * ow > 1 && fits_table(h * w, oh * ow))
    return avg_by_table(threads, y, x, planes, h, w, oh, ow, rows, cols);
  const Regular regular(cols, ow);
  for_planes(threads, planes, oh * ow == 1 ? h * w / 8 : h * w, [&](int64_t c) {
    avg_plane(y + c * oh * ow, x + c * h * w, w, oh, ow, rows, cols, regular);
  });
}
template <class T>
void avg_simd(T* y, const T* x, int64_t planes, int64_t h, int64_t w, int64_t oh, int64_t ow,
              const Window* rows, const Window* cols) {
  avg_planes(false, y, x, planes, h, w, oh, ow, rows, cols);
}
template <class T>
void avg_fast(T* y, const T* x, int64_t planes, int64_t h, int64_t w, int64_t oh, int64_t ow,
              const Window* rows, const Window* cols) {
  avg_planes(true, y, x, planes, h, w, oh, ow, rows, cols);
}

// The windows, `step` apart in a table, that hold each of `size` elements: neighbours, for windows
// begin and end in order. False if they do not.
inline bool holders(Covered* of, int64_t size, const Window* windows, int64_t n) {
  for (int64_t i = 1; i < n; ++i)
    if (windows[i].begin < windows[i - 1].begin || windows[i].end < windows[i - 1].end)
      return false;
  for (int64_t a = 0, first = 0, end = 0; a < size; ++a) {
    while (first < n && windows[first].end <= a) ++first;
    while (end < n && windows[end].begin <= a) ++end;
    of[a] = {least(first, n - 1), most(end - first, 0), 1};
  }
  return true;
}

// The same sum from the side of x: of g / count over the windows that hold an element. False if
// windows are not in order, or it does not pay.
template <class T>
bool avg_vjp_by_table(T* dx, const T* g, int64_t planes, int64_t h, int64_t w, int64_t oh,
                      int64_t ow, const Window* rows, const Window* cols) {
  Covered* of = static_cast<Covered*>(scratch((h + w) * sizeof(Covered)));
  bool fits = holders(of, h, rows, oh) && holders(of + h, w, cols, ow);
  if (2 * w > kLanes<T>)  // the sum by rows is quicker, unless each element has one window at most
    for (int64_t a = 0; a < h + w; ++a) fits = fits && of[a].count <= 1;
  if (fits) {
    const int64_t outputs = oh * ow;
    const Table table(of, h, of + h, w, ow, outputs, planes, kLanes<T>);
    T* count = static_cast<T*>(scratch((planes + 1) * outputs * sizeof(T)));
    T* share = count + outputs;
    counts(count, outputs, rows, oh, cols, ow);
    for_planes(true, planes, outputs, [&](int64_t c) {
      for (int64_t k = 0; k < outputs; ++k) share[c * outputs + k] = g[c * outputs + k] / count[k];
    });
    sum_by_table<T>(true, dx, share, nullptr, planes, table);
    release(count);
  }
  release(of);
  return fits;
}

// forward was y[i,j] = sum of x[a,b] / count, so dx[a,b] = sum of g[i,j] / count over the windows
// that hold (a, b). dx (h, w), g (oh, ow)
template <class T>
void avg_vjp(T* dx, const T* g, int64_t planes, int64_t h, int64_t w, int64_t oh, int64_t ow,
             const Window* rows, const Window* cols) {
  if (w <= kLanes<T> && oh * ow > 1 && fits_table(oh * ow, h * w) &&
      avg_vjp_by_table(dx, g, planes, h, w, oh, ow, rows, cols))
    return;
  for_planes(true, planes, h * w, [&](int64_t c) {
    T* out = dx + c * h * w;
    const T* in = g + c * oh * ow;
    std::memset(out, 0, h * w * sizeof(T));
    for (int64_t strip = 0; strip < w; strip += kWidest) {  // columns whose shares fit on the stack
      const int64_t width = least(kWidest, w - strip);
      T share[kWidest + kLanes<T>];
      for (int64_t i = 0; i < oh; ++i) {
        std::memset(share, 0, width * sizeof(T));
        for (int64_t j = 0; j < ow; ++j) {
          const T each = in[i * ow + j] / static_cast<T>(rows[i].count * cols[j].count);
          const int64_t end = least(cols[j].end - strip, width);
          for (int64_t b = most(cols[j].begin - strip, 0); b < end; ++b) share[b] += each;
        }
        for (int64_t a = rows[i].begin; a < rows[i].end; ++a)
          for (int64_t b = 0; b < width; b += kLanes<T>) {
            T* to = out + a * w + strip + b;
            const int lanes = static_cast<int>(least(kLanes<T>, width - b));
            store_n(to, load_n(to, lanes) + load(share + b), lanes);
          }
      }
    }
  });
}

}  // namespace

MT_RUNGS(max_pool2d, max_naive, max_blocked, max_simd, max_fast)
MT_KERNEL(max_pool2d_vjp, max_vjp)
MT_KERNEL(max_pool2d_gather, max_gather)
MT_RUNGS(avg_pool2d, avg_naive, avg_simd, avg_simd, avg_fast)
MT_KERNEL(avg_pool2d_vjp, avg_vjp)

}  // namespace mt::MT_ISA
