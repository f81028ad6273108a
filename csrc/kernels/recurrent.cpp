// Recurrent layers through all of their steps. With h the state before a step and x the product of
// its input, each step is one product and a few functions of each element:
//
//     forward    p = h w^T,  then the gates from x + p, then the next state
//     backward   dh = dp w (dp of the step after) + what else reaches h, then the gates' gradients
//
// w is packed once. A piece of work makes a few columns of the product and goes on with them while
// they are in L1: forward those of all gates of as many units as a vector holds,
// backward two vectors of units.
#include <cstring>

#include "../functions.h"
#include "../kernels.h"
#include "gemm.h"

namespace mt::MT_ISA {
namespace {

template <class T>
inline Vec<T> take(const T* p, int lanes) {
  return lanes == kLanes<T> ? load(p) : load_n(p, lanes);
}
template <class T>
inline void put(T* p, Vec<T> v, int lanes) {
  lanes == kLanes<T> ? store(p, v) : store_n(p, v, lanes);
}

// Where an example's state before a step stands: the row of the step before, or -1 for the first.
struct Rows {
  const Sequence& s;
  int64_t row(int64_t step, int64_t example) const { return s.first[step] + example; }
  int64_t before(int64_t step, int64_t example) const {
    return step > 0 && example < s.count[step - 1] ? row(step - 1, example) : -1;
  }
};

// Rows of a tile: as many as may begin in one set of the L1 cache, which those of a batch often do.
constexpr int kStepRows = kTileRows < 8 ? kTileRows : 8;
constexpr int kMostGates = 4;

// A function of so many arguments, called where it is: what differs from layer to layer, for code
// that is there once for all of them.
template <class>
struct Call;
template <class R, class... A>
struct Call<R(A...)> {
  const void* context;
  R (*body)(const void*, A...);
  template <class F>
  Call(const F& f)
      : context(&f),
        body([](const void* f, A... a) { return (*static_cast<const F*>(f))(a...); }) {}
  R operator()(A... a) const { return body(context, a...); }
};

// c (rows, n) = a (rows, depth) b (depth, n), or += if `add`.
template <class T>
__attribute__((noinline)) void product(int rows, int n, int64_t depth, EvenRows<T> a, Steps<T> b,
                                       T* c, int64_t c_row, bool add) {
  constexpr int L = kLanes<T>;
  const auto tile =
      n > 2 * L ? tile_of<4, T, EvenRows<T>, Steps<T>, 2>(rows) : tile_for<T, EvenRows<T>>(n, rows);
  tile(depth, a, b, n, {c, c_row, 1}, {add ? c : nullptr, c_row, 1});
}

// Panel p of w (G n, n) in strips of `wide` gates: for each k a vector of each of them,
// w[g n + p L + lane, k].
template <class T>
void pack_gates(T* to, const T* w, int64_t gates, int64_t wide, int64_t n, int64_t panel) {
  constexpr int L = kLanes<T>;
  const int lanes = min(L, n - panel * L);
  for (int64_t g = 0; g < gates; ++g) {
    const int64_t strip = g / wide * wide, step = min(wide, gates - strip) * L;
    const T* from = w + (g * n + panel * L) * n;
    T* column = to + strip * L * n + (g - strip) * L;
    for (int64_t k = 0; k < n; k += L) {
      const int depth = min(L, n - k);
      Vec<T> x[L];
#pragma GCC unroll 16
      for (int r = 0; r < L; ++r) x[r] = r < lanes ? take(from + r * n + k, depth) : Vec<T>{};
      transpose<T>(x);
#pragma GCC unroll 16
      for (int r = 0; r < L; ++r)
        if (r < depth) store(column + (k + r) * step, x[r]);
    }
  }
}

// The last state of each example: of the last step that it takes part in, or where it began.
template <class T>
void last_states(T* last, const T* states, const T* start, const Sequence& s) {
  const Rows at{s};
  int64_t done = 0;
  for (int64_t step = s.steps - 1; step >= 0; --step)
    for (; done < s.count[step]; ++done)
      for (int64_t j = 0; j < s.n; ++j) last[done * s.n + j] = states[at.row(step, done) * s.n + j];
  for (int64_t i = done * s.n; i < s.batch * s.n; ++i) last[i] = start[i];
}

// Products in a chunk of a step: few, since at small batches they wait for the weights, of which
// each core then reads its own part out of its own cache.
constexpr int64_t kStepWork = kChunkWork / 2;

// The groups of examples that go through all steps on their own, one on each thread, which packs
// the weights for itself: no thread then waits for another, nor fetches what that one has made. 1
// where they are too few, or where the weights are better shared out than read whole by every core.
inline int64_t groups(const Sequence& s, int64_t work, int64_t bytes) {
  if (bytes > kPanelBytes || s.batch < 8) return 1;
  return min(min(num_threads(), s.batch / 4), max(1, s.batch * s.steps * work / kChunkWork));
}

// Where group g of `all` begins, so that each has as many rows: later examples may have fewer.
inline int64_t group_begin(const Sequence& s, int64_t all, int64_t g) {
  const auto rows = [&](int64_t examples) {
    int64_t sum = 0;
    for (int64_t step = 0; step < s.steps; ++step) sum += min(s.count[step], examples);
    return sum;
  };
  const int64_t wanted = cut(rows(s.batch), all, g);
  int64_t example = 0;
  while (rows(example) < wanted) ++example;
  return g == all ? s.batch : example;
}

constexpr int64_t kTogether = 8;  // of its examples, so that the next step's rows are soon at hand

// piece(weights, step, panel, begin, end) for the examples begin .. end-1 and each panel of the
// weights, for every step from `first` on and before `end`, up (by = 1) or down (-1), the one
// before done; rows(step) examples take part. pack(to, panel) makes a panel of `size` numbers,
// which are as many products for each example.
template <class T>
using Piece = Call<void(const T* weights, int64_t step, int64_t panel, int64_t begin, int64_t end)>;

template <class T>
void run_steps(const Sequence& s, int64_t first, int64_t end, int by, int64_t panels, int64_t size,
               Call<int64_t(int64_t)> rows, Call<void(T*, int64_t)> pack, Piece<T> piece) {
  const int64_t all = groups(s, panels * size, panels * size * sizeof(T));
  if (all > 1) {
    for_chunks(all, [&](int64_t group) {
      Scratch<T> own(panels * size);
      for (int64_t panel = 0; panel < panels; ++panel) pack(own.p + panel * size, panel);
      const int64_t begin = group_begin(s, all, group), n = group_begin(s, all, group + 1) - begin;
      const int64_t parts = ceil_div(n, kTogether);
      for (int64_t part = 0; part < parts; ++part)
        for (int64_t step = first; step != end; step += by)
          for (int64_t panel = 0; panel < panels; ++panel)
            piece(own.p + panel * size, step, panel, begin + cut(n, parts, part),
                  min(rows(step), begin + cut(n, parts, part + 1)));
    });
    return;
  }
  Scratch<T> packed(panels * size);
  for_chunks(panels, [&](int64_t panel) { pack(packed.p + panel * size, panel); });
  for (int64_t step = first; step != end; step += by) {
    const int64_t count = rows(step), tiles = max(1, ceil_div(count, kStepRows));
    const int64_t blocks = max(1, min(tiles, count * size / kStepWork));
    const int64_t grain = even_share(panels * blocks, ceil_div(count, blocks) * size, kStepWork);
    for_ranges(panels * blocks, grain, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; ++k) {
        const int64_t block = k % blocks, panel = k / blocks;
        piece(packed.p + panel * size, step, panel, cut(count, tiles, cut(tiles, blocks, block)),
              cut(count, tiles, cut(tiles, blocks, block + 1)));
      }
    });
  }
}

// What a cell reads and writes: arrays of so many vectors of n units in each row. They are asked
// for while the products before are made, if the rows of all steps are too many for the L2 cache;
// a cell without gates touches so few that it is not worth it. A vector's last line is the one that
// the piece before has not touched.
template <class T>
struct Plane {
  const T* p = nullptr;
  int vectors = 0;
};
template <class T>
struct Layer {
  const Sequence& s;
  int64_t gates;
  Plane<T> planes[5];

  bool far() const {
    return gates > 1 && s.steps * s.batch * gates * s.n * int64_t(sizeof(T)) > kPanelBytes;
  }
  // Always inline, for GCC leaves out a call of what does nothing but ask.
  __attribute__((always_inline)) void ask(int64_t row, int64_t j) const {
    for (const Plane<T>& plane : planes) {
      if (!plane.p) return;
      const T* line = plane.p + row * plane.vectors * s.n + j + kLanes<T> - 1;
      for (int v = 0; v < plane.vectors; ++v, line += s.n) __builtin_prefetch(line, 0, 2);
    }
  }
};

// For every step: p = h w^T of its examples, in pieces of a vector of units and a few examples,
// each of which goes to cells(p, step, begin, end, j, lanes): for each example the gates' vectors
// one after the other, from the unit j on.
template <class T>
using Forward = Call<void(const T* p, int64_t step, int64_t begin, int64_t end, int64_t j, int n)>;

template <class T>
void forward_steps(const T* y, const T* h, const T* w, const Layer<T>& layer, Forward<T> cells) {
  constexpr int L = kLanes<T>;
  const Sequence& s = layer.s;
  const Rows at{s};
  const int64_t n = s.n, panels = ceil_div(n, L), width = layer.gates * L;
  // Two gates at a time, so that many rows share what is read of the weights; all of them for few
  // rows, which would have too few sums.
  const int64_t wide = s.batch <= 2 && layer.gates == 4 ? 4 : 2;
  if (n == 0) return;
  bool nothing = true;  // in the first states, as where none are given
  for (int64_t i = 0; nothing && i < s.batch * n; ++i) nothing = h[i] == 0;
  const bool far = layer.far();
  const auto piece = [&](const T* weights, int64_t step, int64_t panel, int64_t low, int64_t high) {
    const int64_t j = panel * L, tiles = ceil_div(high - low, kStepRows);
    const bool begins = step == 0 || high > s.count[step - 1];
    const bool skipped =
        nothing && begins && all_finite(weights, n * width);  // 0 times infinity is not 0
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t begin = low + cut(high - low, tiles, t);
      const int64_t end = low + cut(high - low, tiles, t + 1);
      alignas(64) T p[kStepRows * kMostGates * kLanes<T>];
      for (int64_t i = begin; far && i < end; ++i) layer.ask(at.row(step, i), j);
      // Of the first examples the states before are in y, of those that begin here in h.
      const int64_t begun = step > 0 ? max(begin, min(end, s.count[step - 1])) : begin;
      const auto multiply = [&](const T* states, int64_t from, int64_t to) {
        for (int64_t g = 0; from < to && g < layer.gates; g += wide) {
          const int64_t strip = min(wide, layer.gates - g) * L;
          product<T>(to - from, strip, n, {states, n}, {weights + g * L * n, strip},
                     p + (from - begin) * width + g * L, width, false);
        }
      };
      if (begin < begun) multiply(y + at.row(step - 1, begin) * n, begin, begun);
      if (skipped)
        std::memset(p + (begun - begin) * width, 0, (end - begun) * width * sizeof(T));
      else
        multiply(h + begun * n, begun, end);
      cells(p, step, begin, end, j, min(L, n - j));
    }
  };
  run_steps<T>(
      s, 0, s.steps, 1, panels, n * width, [&](int64_t step) { return s.count[step]; },
      [&](T* to, int64_t panel) { pack_gates(to, w, layer.gates, wide, n, panel); }, piece);
}

// The same with cell(p, row, before, example, j, lanes) for each example: its row, that of the
// state before (or -1). Its functions are compiled into the loop, where their constants stay in
// registers.
template <class T, class F>
void run_forward(const T* y, const T* h, const T* w, const Layer<T>& layer, const F& cell) {
  const Rows at{layer.s};
  const int64_t width = layer.gates * kLanes<T>;
  forward_steps<T>(y, h, w, layer,
                   [&](const T* p, int64_t step, int64_t begin, int64_t end, int64_t j, int lanes)
                       __attribute__((flatten)) {
                         for (int64_t i = begin; i < end; ++i, p += width)
                           cell(p, at.row(step, i), at.before(step, i), i, j, lanes);
                       });
}

// For every step from the last: dh += dp w, dp the rows (gates n) of the step after it; dh keeps
// what else reaches the state. cells(step, begin, end, j, units) takes it from there: it makes dp
// of its own rows and leaves in dh what goes past the product.
using Backward = Call<void(int64_t step, int64_t begin, int64_t end, int64_t j, int units)>;

template <class T>
void backward_steps(T* dh, const T* dp, const T* w, const Layer<T>& layer, Backward cells) {
  constexpr int L = kLanes<T>, W = 2 * L;
  const Sequence& s = layer.s;
  const Rows at{s};
  const int64_t n = s.n, depth = layer.gates * n, panels = ceil_div(n, W);
  if (n == 0) return;
  const bool far = layer.far();
  const auto now = [&](int64_t step) { return step < 0 ? 0 : s.count[step]; };
  const auto after = [&](int64_t step) { return step + 1 < s.steps ? s.count[step + 1] : 0; };
  const auto piece = [&](const T* weights, int64_t step, int64_t panel, int64_t low, int64_t high) {
    const int64_t j = panel * W, tiles = ceil_div(high - low, kStepRows);
    const int width = min(W, n - j);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t begin = low + cut(high - low, tiles, t);
      const int64_t end = low + cut(high - low, tiles, t + 1);
      const int64_t last = min(end, now(step));
      if (far)
        for (int64_t i = begin; i < last; ++i)
          for (int l = 0; l < width; l += L) layer.ask(at.row(step, i), j + l);
      if (begin < after(step)) {
        product<T>(min(end, after(step)) - begin, width, depth,
                   {dp + at.row(step + 1, begin) * depth, depth}, {weights, W}, dh + begin * n + j,
                   n, true);
      }
      cells(step, begin, last, j, width);
    }
  };
  run_steps<T>(
      s, s.steps - 1, -2, -1, panels, depth * W,
      [&](int64_t step) { return max(now(step), after(step)); },
      [&](T* to, int64_t panel) {
        pack<W>(to, Matrix<const T>{w + panel * W, 1, n}, min(W, n - panel * W), depth);
      },
      piece);
}

// The same with cell(row, before, example, j, lanes) for each example, as above.
template <class T, class F>
void run_backward(T* dh, const T* dp, const T* w, const Layer<T>& layer, const F& cell) {
  const Rows at{layer.s};
  constexpr int L = kLanes<T>;
  backward_steps<T>(
      dh, dp, w, layer,
      [&](int64_t step, int64_t begin, int64_t end, int64_t j, int units) __attribute__((flatten)) {
        for (int64_t i = begin; i < end; ++i)
          for (int l = 0; l < units; l += L)
            cell(at.row(step, i), at.before(step, i), i, j + l, min(L, units - l));
      });
}

// gates = (i, f, g, o) = (s, s, tanh, s)(x + p),  cell = f c + i g,  y = o tanh(cell)
template <class T>
void lstm_layer(T* y, T* hn, T* cn, T* gates, T* cells, const T* x, const T* h, const T* c,
                const T* w, const Sequence& s) {
  constexpr int L = kLanes<T>;
  const int64_t n = s.n;
  const Layer<T> layer = {s, 4, {{x, 4}, {gates, 4}, {cells, 1}, {y, 1}}};
  run_forward<T>(
      y, h, w, layer,
      [&](const T* p, int64_t row, int64_t before, int64_t example, int64_t j, int lanes) {
        const int64_t at = row * 4 * n + j;
        const Vec<T> i = sigmoid<T>(load(p) + take(x + at, lanes));
        const Vec<T> f = sigmoid<T>(load(p + L) + take(x + at + n, lanes));
        const Vec<T> g = tanh<T>(load(p + 2 * L) + take(x + at + 2 * n, lanes));
        const Vec<T> o = sigmoid<T>(load(p + 3 * L) + take(x + at + 3 * n, lanes));
        put(gates + at, i, lanes);
        put(gates + at + n, f, lanes);
        put(gates + at + 2 * n, g, lanes);
        put(gates + at + 3 * n, o, lanes);
        const T* old = (before < 0 ? c + example * n : cells + before * n) + j;
        const Vec<T> cell = f * take(old, lanes) + i * g;
        put(cells + row * n + j, cell, lanes);
        put(y + row * n + j, o * tanh<T>(cell), lanes);
      });
  last_states(hn, y, h, s);
  last_states(cn, cells, c, s);
}

// forward was cell = f c + i g, y = o tanh(cell):  e = dc + dy o (1 - tanh(cell)^2),
// dx = (e g s'(i), e c s'(f), e i (1 - g^2), dy tanh(cell) s'(o)),  dc = e f
template <class T>
void lstm_layer_vjp(T* dx, T* dh, T* dc, const T* gy, const T* gh, const T* gc, const T* c,
                    const T* w, const T* gates, const T* cells, const Sequence& s) {
  const int64_t n = s.n;
  for (int64_t i = 0; i < s.batch * n; ++i) dh[i] = gh[i], dc[i] = gc[i];
  const Layer<T> layer = {s, 4, {{gates, 4}, {cells, 1}, {gy, 1}, {dx, 4}}};
  run_backward<T>(
      dh, dx, w, layer, [&](int64_t row, int64_t before, int64_t example, int64_t j, int lanes) {
        const T* gate = gates + row * 4 * n + j;
        T *to = dx + row * 4 * n + j, *past = dh + example * n + j, *down = dc + example * n + j;
        const Vec<T> i = take(gate, lanes), f = take(gate + n, lanes);
        const Vec<T> g = take(gate + 2 * n, lanes), o = take(gate + 3 * n, lanes);
        const Vec<T> t = tanh<T>(take(cells + row * n + j, lanes));
        const Vec<T> up = take(past, lanes) + take(gy + row * n + j, lanes);
        const Vec<T> e = take(down, lanes) + up * o * (1 - t * t);
        const T* old = (before < 0 ? c + example * n : cells + before * n) + j;
        put(to, e * g * i * (1 - i), lanes);
        put(to + n, e * take(old, lanes) * f * (1 - f), lanes);
        put(to + 2 * n, e * i * (1 - g * g), lanes);
        put(to + 3 * n, up * t * o * (1 - o), lanes);
        put(down, e * f, lanes);
        put(past, Vec<T>{}, lanes);
      });
}

// gates = (r, z, m, q): q = p_n + b_n,  r = s(x_r + p_r + b_r),  z likewise,  m = tanh(x_n + r q),
// y = m + z (h - m)
template <class T>
void gru_layer(T* y, T* hn, T* gates, const T* x, const T* h, const T* w, const T* b,
               const Sequence& s) {
  constexpr int L = kLanes<T>;
  const int64_t n = s.n;
  const Layer<T> layer = {s, 3, {{x, 3}, {gates, 4}, {y, 1}}};
  run_forward<T>(
      y, h, w, layer,
      [&](const T* p, int64_t row, int64_t before, int64_t example, int64_t j, int lanes) {
        const T *from = x + row * 3 * n + j, *bias = b + j;
        T* gate = gates + row * 4 * n + j;
        const Vec<T> r = sigmoid<T>(take(from, lanes) + (load(p) + take(bias, lanes)));
        const Vec<T> z = sigmoid<T>(take(from + n, lanes) + (load(p + L) + take(bias + n, lanes)));
        const Vec<T> q = load(p + 2 * L) + take(bias + 2 * n, lanes);
        const Vec<T> m = tanh<T>(take(from + 2 * n, lanes) + r * q);
        put(gate, r, lanes);
        put(gate + n, z, lanes);
        put(gate + 2 * n, m, lanes);
        put(gate + 3 * n, q, lanes);
        const T* old = (before < 0 ? h + example * n : y + before * n) + j;
        put(y + row * n + j, m + z * (take(old, lanes) - m), lanes);
      });
  last_states(hn, y, h, s);
}

// forward was m = tanh(x_n + r q), y = m + z (h - m):  e = dy (1 - z) (1 - m^2),
// dx = (e q s'(r), dy (h - m) s'(z), e),  dp the same with e r at its end,  dh = dy z + dp w
template <class T>
void gru_layer_vjp(T* dx, T* dp, T* dh, const T* gy, const T* gh, const T* h, const T* w,
                   const T* y, const T* gates, const Sequence& s) {
  const int64_t n = s.n;
  for (int64_t i = 0; i < s.batch * n; ++i) dh[i] = gh[i];
  const Layer<T> layer = {s, 3, {{gates, 4}, {y, 1}, {gy, 1}, {dx, 3}, {dp, 3}}};
  run_backward<T>(
      dh, dp, w, layer, [&](int64_t row, int64_t before, int64_t example, int64_t j, int lanes) {
        const T* gate = gates + row * 4 * n + j;
        T *to = dx + row * 3 * n + j, *too = dp + row * 3 * n + j, *past = dh + example * n + j;
        const Vec<T> r = take(gate, lanes), z = take(gate + n, lanes);
        const Vec<T> m = take(gate + 2 * n, lanes), q = take(gate + 3 * n, lanes);
        const Vec<T> up = take(past, lanes) + take(gy + row * n + j, lanes);
        const Vec<T> e = up * (1 - z) * (1 - m * m), dr = e * q * r * (1 - r);
        const T* old = (before < 0 ? h + example * n : y + before * n) + j;
        const Vec<T> dz = up * (take(old, lanes) - m) * z * (1 - z);
        put(to, dr, lanes);
        put(too, dr, lanes);
        put(to + n, dz, lanes);
        put(too + n, dz, lanes);
        put(to + 2 * n, e, lanes);
        put(too + 2 * n, e * r, lanes);
        put(past, up * z, lanes);
      });
}

// y = tanh(x + p), or relu
template <class T>
void rnn_layer(T* y, T* hn, const T* x, const T* h, const T* w, bool relu, const Sequence& s) {
  const int64_t n = s.n;
  const Layer<T> layer = {s, 1, {{x, 1}, {y, 1}}};
  run_forward<T>(y, h, w, layer,
                 [&](const T* p, int64_t row, int64_t, int64_t, int64_t j, int lanes) {
                   const Vec<T> a = load(p) + take(x + row * n + j, lanes);
                   put(y + row * n + j, relu ? maximum<T>(a, Vec<T>{}) : tanh<T>(a), lanes);
                 });
  last_states(hn, y, h, s);
}

// forward was y = f(x + p):  dx = dp = dy (1 - y^2), or dy where y > 0
template <class T>
void rnn_layer_vjp(T* dx, T* dh, const T* gy, const T* gh, const T* w, const T* y, bool relu,
                   const Sequence& s) {
  const int64_t n = s.n;
  for (int64_t i = 0; i < s.batch * n; ++i) dh[i] = gh[i];
  const Layer<T> layer = {s, 1, {{y, 1}, {gy, 1}, {dx, 1}}};
  run_backward<T>(dh, dx, w, layer,
                  [&](int64_t row, int64_t, int64_t example, int64_t j, int lanes) {
                    T* past = dh + example * n + j;
                    const Vec<T> out = take(y + row * n + j, lanes);
                    const Vec<T> up = take(past, lanes) + take(gy + row * n + j, lanes);
                    put(dx + row * n + j,
                        relu ? select<T>(out <= 0, Vec<T>{}, up) : up * (1 - out * out), lanes);
                    put(past, Vec<T>{}, lanes);
                  });
}

}  // namespace

MT_KERNEL(lstm_layer, lstm_layer)
MT_KERNEL(lstm_layer_vjp, lstm_layer_vjp)
MT_KERNEL(gru_layer, gru_layer)
MT_KERNEL(gru_layer_vjp, gru_layer_vjp)
MT_KERNEL(rnn_layer, rnn_layer)
MT_KERNEL(rnn_layer_vjp, rnn_layer_vjp)

}  // namespace mt::MT_ISA
