// Cross-entropy of logits x (outer, n, inner) with class indices target (outer, inner), 0 <= target
// < n or `ignored`.
#include <cmath>
#include <cstring>

#include "../kernels.h"
#include "lines.h"

namespace mt::MT_ISA {
namespace {

// What a row's loss is made of: with q = (1 - s) w_t 1[j=t] + s/n w_j for the class t, smoothing s
// and weights w,
//   loss = sum_j q_j (lse - x_j) = q_sum lse - sum_j q_j x_j.
template <class T>
struct Smoothed {
  const T* weight;         // or nullptr: all 1
  T at_target, elsewhere;  // 1 - s, s/n
  T weights = 0;           // sum_j w_j

  Smoothed(const T* weight, T smoothing, int64_t n)
      : weight(weight), at_target(1 - smoothing), elsewhere(smoothing / static_cast<T>(n)) {
    if (smoothing != 0)
      for (int64_t j = 0; j < n; ++j) weights += of(j);
  }
  T of(int64_t j) const { return weight == nullptr ? T(1) : weight[j]; }
  T q_sum(int64_t t) const { return at_target * of(t) + elsewhere * weights; }
};

// sum_j w_j x_j, per row of the line
template <class T, class Line>
inline Vec<T> weighted_sum(const Line& line, const T* x, int64_t inner, const T* weight) {
  Vec<T> total{};
  line.each([&](int64_t j, int count) {
    const Vec<T> v = load_n<T>(x + j, count);
    if (weight == nullptr)
      total += v;
    else if (inner == 1)
      total += v * load_n<T>(weight + j, count);
    else
      total += v * weight[j / inner];
  });
  return line.sum(total);
}

// rows = q_sum lse - sum_j q_j x_j, 0 where the target is `ignored`;  lse = m + log(sum_j exp(x_j -
// m)); total = sum of w_t over the rows that count;  loss = sum of rows, if `mean` divided by total
// (nullptr: not wanted). rows, lse (outer, inner)
template <class T>
void cross_entropy(T* rows, T* lse, T* total, T* loss, const T* x, const int64_t* target,
                   const T* weight, T smoothing, int64_t ignored, bool mean, int64_t outer,
                   int64_t n, int64_t inner) {
  const Smoothed<T> q(weight, smoothing, n);
  for_lines<T>(true, outer, n, inner, [&](const auto& line, int64_t at, int64_t row, int count) {
    const Vec<T> m = largest<T>(line, x + at);
    const Vec<T> out = m + log<T>(sum_exp<T>(line, x + at, m));
    Vec<T> everywhere{};
    if (smoothing != 0) everywhere = weighted_sum<T>(line, x + at, inner, weight);
    for (int i = 0; i < count; ++i) {
      const int64_t t = target[row + i];
      lse[row + i] = out[i];
      if (t == ignored) {
        rows[row + i] = 0;
      } else {
        const T score = x[at + i + t * inner];
        rows[row + i] = q.at_target * q.of(t) * (out[i] - score);
        if (smoothing != 0) rows[row + i] += q.elsewhere * (q.weights * out[i] - everywhere[i]);
      }
    }
  });
  double sum = 0, weights = 0;
  for (int64_t i = 0; i < outer * inner; ++i) {
    if (target[i] == ignored) continue;
    sum += rows[i];
    weights += q.of(target[i]);
  }
  *total = static_cast<T>(weights);
  if (loss != nullptr) *loss = static_cast<T>(mean ? sum / weights : sum);
}

// forward was rows = q_sum lse - sum_j q_j x_j with dlse/dx_j = exp(x_j - lse):
//   dx_j = g (q_sum exp(x_j - lse) - q_j), with one g for every row or, if `shared`, one for all,
//   divided by *total
// (nullptr: by 1).
// dx (outer, n, inner), g (outer, inner) or one number
template <class T>
void cross_entropy_vjp(T* dx, const T* g, const T* x, const T* lse, const T* total,
                       const int64_t* target, const T* weight, T smoothing, int64_t ignored,
                       bool shared, int64_t outer, int64_t n, int64_t inner) {
  const Smoothed<T> q(weight, smoothing, n);
  for_lines<T>(true, outer, n, inner, [&](const auto& line, int64_t at, int64_t row, int count) {
    T scale[kLanes<T>] = {}, shift[kLanes<T>] = {}, norm[kLanes<T>] = {};
    for (int i = 0; i < count; ++i) {
      const int64_t t = target[row + i];
      if (t == ignored) continue;
      scale[i] = shared ? g[0] / (total == nullptr ? T(1) : *total) : g[row + i];
      norm[i] = scale[i] * q.q_sum(t);
      shift[i] = lse[row + i];
    }
    Vec<T> vscale, vshift, vnorm;
    if (inner == 1) {
      vscale = splat<T>(scale[0]), vshift = splat<T>(shift[0]), vnorm = splat<T>(norm[0]);
    } else {
      vscale = load<T>(scale), vshift = load<T>(shift), vnorm = load<T>(norm);
    }
    line.each([&](int64_t j, int count) {
      Vec<T> d = vnorm * exp<T>(load_n<T>(x + at + j, count) - vshift);
      if (smoothing != 0) {
        Vec<T> w = splat<T>(q.elsewhere);
        if (weight != nullptr)
          w *= inner == 1 ? load_n<T>(weight + j, count) : splat<T>(weight[j / inner]);
        d -= vscale * w;
      }
      store_n<T>(dx + at + j, d, count);
    });
    for (int i = 0; i < count; ++i) {
      const int64_t t = target[row + i];
      if (t != ignored) dx[at + i + t * inner] -= scale[i] * q.at_target * q.of(t);
    }
  });
}

}  // namespace

MT_KERNEL(cross_entropy, cross_entropy)
MT_KERNEL(cross_entropy_vjp, cross_entropy_vjp)

}  // namespace mt::MT_ISA
