// The steps of recurrent layers. A row of x or y is made of gates of n values each, one after the
// other: (i, f, g, o) of an LSTM, (r, z, n) of a GRU; h, c and their gradients are (rows, n).
#include "../functions.h"
#include "../kernels.h"
#include "../runtime/parallel.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kGrain = 1 << 11;  // elements of the state that a thread takes at a time

// f(row, j, rest) for every vector of every row: `rest` is kLanes, and less for a row's last one.
template <class T, class F>
inline void for_rows(int64_t rows, int64_t n, const F& f) {
  if (n == 0) return;
  for_ranges(rows, n < kGrain ? kGrain / n : 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t j = 0;
      for (; j + kLanes<T> <= n; j += kLanes<T>) f(row, j, kLanes<T>);
      if (j < n) f(row, j, static_cast<int>(n - j));
    }
  });
}

template <class T>
inline Vec<T> take(const T* p, int rest) {
  return rest == kLanes<T> ? load(p) : load_n(p, rest);
}
template <class T>
inline void put(T* p, Vec<T> v, int rest) {
  rest == kLanes<T> ? store(p, v) : store_n(p, v, rest);
}

// c' = s(f) c + s(i) tanh(g),  h = s(o) tanh(c')
template <class T>
void lstm_cell(T* h, T* cn, const T* x, const T* c, int64_t rows, int64_t n) {
  for_rows<T>(rows, n, [&](int64_t row, int64_t j, int rest) {
    const T* gate = x + row * 4 * n + j;
    const int64_t at = row * n + j;
    const Vec<T> i = sigmoid<T>(take(gate, rest)), f = sigmoid<T>(take(gate + n, rest));
    const Vec<T> g = tanh<T>(take(gate + 2 * n, rest)), o = sigmoid<T>(take(gate + 3 * n, rest));
    const Vec<T> next = f * take(c + at, rest) + i * g;
    put(cn + at, next, rest);
    put(h + at, o * tanh<T>(next), rest);
  });
}

// forward was c' = s(f) c + s(i) tanh(g), h = s(o) tanh(c'):  e = dc' + dh s(o) (1 - tanh(c')^2),
// dx = (e tanh(g) s'(i), e c s'(f), e s(i) (1 - tanh(g)^2), dh tanh(c') s'(o))
template <class T>
void lstm_cell_dx(T* dx, const T* dh, const T* dc, const T* x, const T* c, const T* cn,
                  int64_t rows, int64_t n) {
  for_rows<T>(rows, n, [&](int64_t row, int64_t j, int rest) {
    const T* gate = x + row * 4 * n + j;
    T* to = dx + row * 4 * n + j;
    const int64_t at = row * n + j;
    const Vec<T> i = sigmoid<T>(take(gate, rest)), f = sigmoid<T>(take(gate + n, rest));
    const Vec<T> g = tanh<T>(take(gate + 2 * n, rest)), o = sigmoid<T>(take(gate + 3 * n, rest));
    const Vec<T> t = tanh<T>(take(cn + at, rest)), up = take(dh + at, rest);
    const Vec<T> e = take(dc + at, rest) + up * o * (1 - t * t);
    put(to, e * g * i * (1 - i), rest);
    put(to + n, e * take(c + at, rest) * f * (1 - f), rest);
    put(to + 2 * n, e * i * (1 - g * g), rest);
    put(to + 3 * n, up * t * o * (1 - o), rest);
  });
}

// forward was c' = s(f) c + ...:  dc = e s(f)
template <class T>
void lstm_cell_dc(T* dold, const T* dh, const T* dc, const T* x, const T* cn, int64_t rows,
                  int64_t n) {
  for_rows<T>(rows, n, [&](int64_t row, int64_t j, int rest) {
    const T* gate = x + row * 4 * n + j;
    const int64_t at = row * n + j;
    const Vec<T> f = sigmoid<T>(take(gate + n, rest)), o = sigmoid<T>(take(gate + 3 * n, rest));
    const Vec<T> t = tanh<T>(take(cn + at, rest));
    put(dold + at, (take(dc + at, rest) + take(dh + at, rest) * o * (1 - t * t)) * f, rest);
  });
}

// The gates of a GRU's step: r = s(xr + yr), z = s(xz + yz), n = tanh(xn + r yn).
template <class T>
struct Gru {
  Vec<T> r, z, yn, n;
  Gru(const T* x, const T* y, int64_t n, int rest)
      : r(sigmoid<T>(take(x, rest) + take(y, rest))),
        z(sigmoid<T>(take(x + n, rest) + take(y + n, rest))),
        yn(take(y + 2 * n, rest)),
        n(tanh<T>(take(x + 2 * n, rest) + r * yn)) {}
};

// h' = n + z (h - n)
template <class T>
void gru_cell(T* out, const T* x, const T* y, const T* h, int64_t rows, int64_t n) {
  for_rows<T>(rows, n, [&](int64_t row, int64_t j, int rest) {
    const int64_t at = row * n + j, gates = row * 3 * n + j;
    const Gru<T> k(x + gates, y + gates, n, rest);
    put(out + at, k.n + k.z * (take(h + at, rest) - k.n), rest);
  });
}

// forward was h' = n + z (h - n), n = tanh(xn + r yn):  e = g (1 - z) (1 - n^2),
// dx = (e yn s'(r), g (h - n) s'(z), e), and with `hidden` dy: e r at its end
template <class T>
void gru_cell_dx(T* dx, const T* g, const T* x, const T* y, const T* h, bool hidden, int64_t rows,
                 int64_t n) {
  for_rows<T>(rows, n, [&](int64_t row, int64_t j, int rest) {
    const int64_t at = row * n + j, gates = row * 3 * n + j;
    const Gru<T> k(x + gates, y + gates, n, rest);
    const Vec<T> up = take(g + at, rest), e = up * (1 - k.z) * (1 - k.n * k.n);
    put(dx + gates, e * k.yn * k.r * (1 - k.r), rest);
    put(dx + gates + n, up * (take(h + at, rest) - k.n) * k.z * (1 - k.z), rest);
    put(dx + gates + 2 * n, hidden ? e * k.r : e, rest);
  });
}

}  // namespace

MT_KERNEL(lstm_cell, lstm_cell)
MT_KERNEL(lstm_cell_dx, lstm_cell_dx)
MT_KERNEL(lstm_cell_dc, lstm_cell_dc)
MT_KERNEL(gru_cell, gru_cell)
MT_KERNEL(gru_cell_dx, gru_cell_dx)

}  // namespace mt::MT_ISA
