// Cross-entropy of logits x (outer, n, inner) with class indices target (outer, inner), 0 <= target
// < n or `ignored`.
#include "../kernels.h"
#include "lines.h"

namespace mt::MT_ISA {
namespace {

// What a row's loss is made of: with q_j = (1 - s) w_t [j = t] + s/n w_j for the class t, smoothing
// s and weights w,
//   loss = sum_j q_j (lse - x_j) = (1 - s) w_t (lse - x_t) + s/n sum_j w_j (lse - x_j).
template <class T>
struct Smoothed {
  const T* weight;         // or nullptr: all 1
  T at_target, elsewhere;  // 1 - s, s/n
  T weights = 0;           // sum_j w_j, where it is needed

  Smoothed(const T* weight, T smoothing, int64_t n)
      : weight(weight), at_target(1 - smoothing), elsewhere(smoothing / static_cast<T>(n)) {
    if (smooth())
      for (int64_t j = 0; j < n; ++j) weights += of(j);
  }
  bool smooth() const { return elsewhere != 0; }
  T of(int64_t j) const { return weight == nullptr ? T(1) : weight[j]; }
  T target(int64_t t) const { return at_target * of(t); }
  // w of the classes that the line's vector at place j holds, times s/n
  Vec<T> others(const Along<T>&, int64_t j, int count) const {
    return weight == nullptr ? splat<T>(elsewhere) : elsewhere * load_n<T>(weight + j, count);
  }
  Vec<T> others(const Across<T>& line, int64_t j, int) const {
    return splat<T>(elsewhere * of(j / line.inner));
  }
};

// rows = sum_j q_j (lse - x_j), 0 where the target is `ignored`;  lse = m + log(sum_j exp(x_j -
// m)); total = sum of w_t over the rows that count;  loss = sum of rows, if `mean` divided by total
// (nullptr: not wanted). rows, lse (outer, inner)
template <class T>
void cross_entropy(T* rows, T* lse, T* total, T* loss, const T* x, const int64_t* target,
                   const T* weight, T smoothing, int64_t ignored, bool mean, int64_t outer,
                   int64_t n, int64_t inner) {
  const Smoothed<T> q(weight, smoothing, n);
  const auto each = [&](const auto& line, T*, const T* const* from, int64_t row, int count) {
    const T* x = from[0];
    const Vec<T> m = largest<T>(line, x);
    const Vec<T> log_sum = m + log<T>(sum_exp<T>(line, x, m));
    Vec<T> others{};
    if (q.smooth()) {
      line.each([&](int64_t j, int count) {
        const Vec<T> d = q.others(line, j, count) * (log_sum - load_n<T>(x + j, count));
        others += line.across ? d : first<T>(d, count);
      });
      others = line.sum(others);
    }
    for (int i = 0; i < count; ++i) {
      const int64_t t = target[row + i];
      const T l = lse[row + i] = log_sum[i];
      rows[row + i] = t == ignored ? T(0) : q.target(t) * (l - x[line.place(t) + i]) + others[i];
    }
  };
  for_lines<T, false>(true, nullptr, {x}, outer, n, inner, each);
  double sum = 0, weights = 0;
  for (int64_t i = 0; i < outer * inner; ++i) {
    if (target[i] == ignored) continue;
    sum += rows[i];
    weights += q.of(target[i]);
  }
  *total = static_cast<T>(weights);
  if (loss != nullptr) *loss = static_cast<T>(mean ? sum / weights : sum);
}

// forward was rows = sum_j q_j (lse - x_j) with dlse/dx_j = p_j = exp(x_j - lse):
//   dx_j = g (q_sum p_j - q_j), with one g for every row or, if `shared`, one for all, divided by
//   *total (nullptr: by 1)
// dx (outer, n, inner), g (outer, inner) or one number
template <class T>
void cross_entropy_vjp(T* dx, const T* g, const T* x, const T* lse, const T* total,
                       const int64_t* target, const T* weight, T smoothing, int64_t ignored,
                       bool shared, int64_t outer, int64_t n, int64_t inner) {
  const Smoothed<T> q(weight, smoothing, n);
  const auto each = [&](const auto& line, T* dx, const T* const* from, int64_t row, int count) {
    const T* x = from[0];
    Vec<T> scale{}, q_sum{}, log_sum{}, x_t{};
    Mask<T> counts{};
    for (int i = 0; i < count; ++i) {
      const int64_t t = target[row + i];
      if (t == ignored) continue;
      counts[i] = -1;
      scale[i] = shared ? g[0] / (total == nullptr ? T(1) : *total) : g[row + i];
      q_sum[i] = q.target(t) + q.elsewhere * q.weights;
      log_sum[i] = lse[row + i];
      x_t[i] = x[line.place(t) + i];  // where dx may take its place
    }
    if (!line.across) {  // a vector is one row: all lanes alike
      counts = Mask<T>{} + counts[0];
      scale = splat<T>(scale[0]), q_sum = splat<T>(q_sum[0]), log_sum = splat<T>(log_sum[0]);
    }
    line.each([&](int64_t j, int count) {
      Vec<T> d = q_sum * exp_normal<T>(load_n<T>(x + j, count) - log_sum);
      if (q.smooth()) d -= q.others(line, j, count);
      store_n<T>(dx + j, select<T>(counts, scale * d, Vec<T>{}), count);
    });
    const Vec<T> p_t = q_sum * exp_normal<T>(x_t - log_sum);
    for (int i = 0; i < count; ++i) {
      const int64_t t = target[row + i];
      if (t == ignored) continue;
      const T q_t = q.target(t) + (q.smooth() ? q.elsewhere * q.of(t) : T(0));
      dx[line.place(t) + i] = scale[i] * (p_t[i] - q_t);
    }
  };
  for_lines<T>(true, dx, {x}, outer, n, inner, each);
}

// rows = -w_t x_t for the class t, 0 where the target is `ignored`;  total = sum of w_t over the
// rows that count;  loss = sum of rows, if `mean` divided by total (nullptr: not wanted)
template <class T>
void nll(T* rows, T* total, T* loss, const T* x, const int64_t* target, const T* weight,
         int64_t ignored, bool mean, int64_t outer, int64_t n, int64_t inner) {
  double sum = 0, weights = 0;
  for (int64_t i = 0; i < outer * inner; ++i) {
    const int64_t t = target[i];
    rows[i] = 0;
    if (t == ignored) continue;
    const T w = weight == nullptr ? T(1) : weight[t];
    if (w != 0) rows[i] = -w * x[(i / inner * n + t) * inner + i % inner];
    sum += rows[i];
    weights += w;
  }
  *total = static_cast<T>(weights);
  if (loss != nullptr) *loss = static_cast<T>(mean ? sum / weights : sum);
}

// dx_t = -g w_t, else 0, with one g for every row or, if `shared`, one for all, divided by total
// (nullptr: 1)
template <class T>
void nll_vjp(T* dx, const T* g, const T* total, const int64_t* target, const T* weight,
             int64_t ignored, bool shared, int64_t outer, int64_t n, int64_t inner) {
  const int64_t line = n * inner;
  for_even_ranges(outer, 1 + (1 << 15) / (line + 1), [&](int64_t begin, int64_t end) {
    std::memset(dx + begin * line, 0, (end - begin) * line * sizeof(T));
    for (int64_t i = begin * inner; i < end * inner; ++i) {
      const int64_t t = target[i];
      if (t == ignored) continue;
      const T w = weight == nullptr ? T(1) : weight[t], scale = total == nullptr ? w : w / *total;
      dx[(i / inner * n + t) * inner + i % inner] = -scale * g[shared ? 0 : i];
    }
  });
}

}  // namespace

MT_KERNEL(cross_entropy, cross_entropy)
MT_KERNEL(cross_entropy_vjp, cross_entropy_vjp)
MT_KERNEL(nll, nll)
MT_KERNEL(nll_vjp, nll_vjp)

}  // namespace mt::MT_ISA
