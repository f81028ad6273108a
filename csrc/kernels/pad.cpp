// Padding: more elements, or fewer, at the ends of the axes of x. Along each axis the output's
// places are three runs (kernels.h); every row of the output is written once.
#include "elementwise.h"

namespace mt::MT_ISA {
namespace {

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

inline int64_t places(const Runs& r) { return r.count[0] + r.count[1] + r.count[2]; }

// n elements, `step` apart.
template <class T>
__attribute__((noinline)) void move(T* out, const T* x, int64_t step, int64_t n) {
  copy_row(out, x, step, n);
}

template <class T>
inline void fill(T* out, T value, int64_t n) {
  const Vec<T> v = splat(value);
  for (; n > kLanes<T>; n -= kLanes<T>, out += kLanes<T>) store(out, v);
  store_n(out, v, static_cast<int>(n));
}

// Of short rows, `next` apart in x, several are one vector of the output, whose lanes are picked
// from one of x. `rows`: how many; 0 if not even one is.
template <class T>
struct Picks {
  int64_t rows = 0, next;
  int reads[2] = {};  // elements of x, for all and for one
  Mask<T> at{}, outside{};

  Picks(const Runs& r, int64_t next_row, bool value) : next(next_row) {
    constexpr int64_t L = kLanes<T>;
    for (int64_t lane = 0; lane + places(r) <= L; ++rows) {
      for (int k = 0; k < 3; ++k)
        for (int64_t i = 0; i < r.count[k]; ++i, ++lane) {
          const int64_t from = rows * next + r.from[k] + i * r.step[k];
          outside[lane] = value && k != 1 ? -1 : 0;
          if (outside[lane]) continue;
          if (from < 0 || from >= L) return;
          if (from >= reads[1]) reads[1] = static_cast<int>(from) + 1;
          at[lane] = from;
        }
      if (rows == 0) reads[0] = reads[1];
    }
  }

  Vec<T> operator()(const T* x, bool all, T value) const {
    const Vec<T> v = load_n(x, reads[all]);
#if defined(__clang__)
    Vec<T> y;
    for (int i = 0; i < kLanes<T>; ++i) y[i] = v[at[i]];
#else
    const Vec<T> y = __builtin_shuffle(v, at);
#endif
    return select<T>(outside, splat(value), y);
  }
};

// Rows of the output, read from x, x + next, ...; their ends are `value` if there is one. Up to
// `limit` the output is written later.
template <class T>
void pad_rows(T* out, const T* x, int64_t next, int64_t rows, const Runs& r, const T* value,
              const Picks<T>& picks, const T* limit, bool ahead) {
  constexpr int64_t L = kLanes<T>, kFew = 4;
  const int64_t width = places(r), before = r.count[0], n = r.count[1];
  if (picks.rows > 0) {
    const T outside = value == nullptr ? T(0) : *value;
    while (rows > 0) {
      const bool all = rows >= picks.rows && next == picks.next;
      const int64_t some = all ? picks.rows : 1;
      const Vec<T> y = picks(x, all, outside);
      if (ahead) will_write(out, width);
      if (limit - out >= L)
        store(out, y);
      else
        store_n(out, y, static_cast<int>(some * width));
      rows -= some;
      x += some * next;
      out += some * width;
    }
    return;
  }
  for (; rows > 0; --rows, out += width, x += next) {
    if (ahead) will_write(out, width);
    const auto end = [&](int64_t at, int k) {
      const bool outside = value != nullptr;
      const T* from = outside ? value : x + r.from[k];
      const int64_t step = outside ? 0 : r.step[k];
      if (r.count[k] > kFew) return move(out + at, from, step, r.count[k]);
      for (int64_t i = 0; i < r.count[k]; ++i, from += step) out[at + i] = *from;
    };
    end(0, 0);
    if (r.step[1] == 1)
      move_row(out + before, x + r.from[1], n);
    else
      move(out + before, x + r.from[1], r.step[1], n);
    end(before + n, 2);
  }
}

// What lies between first and limit of such a row; without x, of `value`
template <class T>
void pad_part(T* out, const T* x, const Runs& r, const T* value, const T* first, const T* limit) {
  for (int k = 0; k < 3; out += r.count[k++]) {
    const int64_t from = first > out ? first - out : 0, n = least(r.count[k], limit - out) - from;
    const bool outside = x == nullptr || (value != nullptr && k != 1);
    const int64_t step = outside ? 0 : r.step[k];
    if (n > 0) move(out + from, outside ? value : x + r.from[k] + from * step, step, n);
  }
}

// out[i] = x[i - before], and outside of x `value` or, if that is null, another element of x
template <class T>
void pad(T* out, const T* x, const T* value, const Padding& p) {
  const int last = p.ndim - 1;
  const Runs &row = p.axis[last], &rows = p.axis[last - 1];
  const int64_t width = places(row), height = places(rows);
  int64_t planes = 1;
  for (int d = 0; d < last - 1; ++d) planes *= places(p.axis[d]);
  const int64_t count = planes * height;
  if (count * width == 0) return;
  // f(first of them, how many, the first one's in x, from it to the next) for the rows from begin
  // to end, run by run; null where there is only `value`
  const auto each = [&](int64_t begin, int64_t end, const auto& f) {
    while (begin < end) {
      const int64_t at = begin % height, stop = least(height, at + end - begin);
      const T* from = x;
      bool outside = false;
      for (int64_t d = last - 2, plane = begin / height; d >= 0; --d) {
        const Runs& axis = p.axis[d];
        const int64_t size = places(axis);
        int64_t i = d > 0 ? plane % size : plane;
        plane = d > 0 ? plane / size : 0;
        int k = 0;
        while (i >= axis.count[k]) i -= axis.count[k++];
        outside |= value != nullptr && k != 1;
        from += axis.from[k] + i * axis.step[k];
      }
      for (int64_t k = 0, first = 0; k < 3; first += rows.count[k++]) {
        const int64_t skip = at > first ? at - first : 0;
        const int64_t n = least(rows.count[k], stop - first) - skip;
        if (n <= 0) continue;
        const bool none = outside || (value != nullptr && k != 1);
        f(begin, n, none ? nullptr : from + rows.from[k] + skip * rows.step[k], rows.step[k]);
        begin += n;
      }
    }
  };
  const Picks<T> picks(row, rows.step[1], value != nullptr);
  const bool ahead = worth_asking(count * width * static_cast<int64_t>(sizeof(T)));
  const int64_t unit = width < kGrain ? width : 1;  // threads share long rows, else take whole ones
  for_even_ranges(count * width / unit, kGrain / unit, [&](int64_t begin, int64_t end) {
    T *const first = out + begin * unit, *const limit = out + end * unit;
    each(begin * unit / width, (end * unit + width - 1) / width,
         [&](int64_t r, int64_t n, const T* from, int64_t next) {
           T* const to = out + r * width;
           if (unit == 1)
             for (int64_t i = 0; i < n; ++i)
               pad_part(to + i * width, from == nullptr ? from : from + i * next, row, value, first,
                        limit);
           else if (from == nullptr)
             fill(to, *value, n * width);
           else
             pad_rows(to, from, next, n, row, value, picks, limit, ahead);
         });
  });
}

// out[i step] += x[i]
template <class T>
__attribute__((noinline)) void add_row(T* out, const T* x, int64_t step, int64_t n) {
  int64_t i = 0;
  for (; step == 1 && i + kLanes<T> <= n; i += kLanes<T>)
    store(out + i, load(out + i) + load(x + i));
  for (; i < n; ++i) out[i * step] += x[i];
}

// dx[j] (+)= the sum of g[i] over all places i that read j, from axis d on. Those of the middle run
// read every j once: they come first, and need no zeros.
template <class T>
void add_places(T* dx, const T* g, const Padding& p, int d, bool add) {
  const Runs& r = p.axis[d];
  int64_t inner = 1;
  for (int k = d + 1; k < p.ndim; ++k) inner *= places(p.axis[k]);
  constexpr int order[] = {1, 0, 2};
  for (const int k : order) {
    const T* from = g + inner * (k == 0 ? 0 : k == 1 ? r.count[0] : r.count[0] + r.count[1]);
    T* to = dx + r.from[k];
    const bool more = add || k != 1;
    if (d + 1 < p.ndim)
      for (int64_t i = 0; i < r.count[k]; ++i, from += inner, to += r.step[k])
        add_places(to, from, p, d + 1, more);
    else if (more)
      add_row(to, from, r.step[k], r.count[k]);
    else
      move(to, from, 1, r.count[k]);
  }
}

// The gradient by x, contiguous. With `add` to what dx holds: where the middle runs leave out some.
template <class T>
void pad_vjp(T* dx, const T* g, const Padding& p, bool add) {
  const Runs& first = p.axis[0];
  int64_t inner = 1;
  for (int d = 1; d < p.ndim; ++d) inner *= places(p.axis[d]);
  if (first.count[0] + first.count[2] > 0) return add_places(dx, g, p, 0, add);
  for_even_ranges(first.count[1], kGrain / (inner + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      add_places(dx + first.from[1] + i * first.step[1], g + i * inner, p, 1, add);
  });
}

}  // namespace

MT_KERNEL(pad, pad)
MT_KERNEL(pad_vjp, pad_vjp)

}  // namespace mt::MT_ISA
