// Random numbers: the words of the Mersenne Twister MT19937, and what is made of them, to the bit
// (minitensor/generator.py states the rules).
//
//     twist     s_i = s_{i+397} ^ A(upper bit of s_i | lower bits of s_{i+1}), indices modulo 624
//     u24       (word mod 2^24) / 2^24            u53    (two words mod 2^53) / 2^53
//     normal    r = sqrt(-2 ln(1 - u)), t = 2 pi v:  r cos t and r sin t
//
// A state is the 624 words and the place of the next one. The loops are plain ones, which the
// compiler turns into vectors: no word needs one of the 227 before it.
#include "../kernels.h"
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

constexpr int kWords = 624, kFar = 397;
constexpr int64_t kPiece = 1024;  // words made at once: they stay in the L1 cache; a multiple of 32

inline uint32_t twisted(uint32_t word, uint32_t next, uint32_t far) {
  const uint32_t y = (word & 0x80000000u) | (next & 0x7fffffffu);
  return far ^ (y >> 1) ^ (-(y & 1) & 0x9908b0dfu);
}

void twist(uint32_t* s) {
  for (int i = 0; i < kWords - kFar; ++i) s[i] = twisted(s[i], s[i + 1], s[i + kFar]);
  for (int i = kWords - kFar; i < kWords - 1; ++i)
    s[i] = twisted(s[i], s[i + 1], s[i + kFar - kWords]);
  s[kWords - 1] = twisted(s[kWords - 1], s[0], s[kFar - 1]);
}

void words(uint32_t* out, uint32_t* state, int64_t n) {
  uint32_t place = state[kWords];
  for (int64_t done = 0; done < n;) {
    if (place == kWords) {
      twist(state);
      place = 0;
    }
    const int64_t left = kWords - place, count = left < n - done ? left : n - done;
    const uint32_t* from = state + place;
    uint32_t* to = out + done;
    for (int64_t i = 0; i < count; ++i) {
      uint32_t y = from[i];
      y ^= y >> 11;
      y ^= (y << 7) & 0x9d2c5680u;
      y ^= (y << 15) & 0xefc60000u;
      to[i] = y ^ (y >> 18);
    }
    done += count;
    place += count;
  }
  state[kWords] = place;
}

// f(begin, words, count) for n numbers in pieces, `each` words a number.
template <int each, class F>
inline void for_numbers(uint32_t* state, int64_t n, const F& f) {
  uint32_t made[kPiece];
  for (int64_t begin = 0; begin < n; begin += kPiece / each) {
    const int64_t count = n - begin < kPiece / each ? n - begin : kPiece / each;
    words(made, state, count * each);
    f(begin, made, count);
  }
}

inline uint64_t bits53(const uint32_t* word) {  // the high one first
  return static_cast<uint64_t>(word[0] & 0x1fffff) << 32 | word[1];
}
template <class T>
inline T unit(const uint32_t* word) {
  if constexpr (sizeof(T) == 4)
    return static_cast<T>(static_cast<int32_t>(*word & 0xffffff)) * static_cast<T>(0x1p-24);
  else
    return static_cast<T>(static_cast<int64_t>(bits53(word))) * static_cast<T>(0x1p-53);
}
template <class T>
constexpr int kEach = sizeof(T) / 4;

// a b + c, rounded once.
inline double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline float fused(float a, float b, float c) {
#ifdef MT_FMA
  return __builtin_fmaf(a, b, c);
#else  // the product is exact in double, and a sum that rounds to a tie there one in 10^8
  return static_cast<float>(static_cast<double>(a) * b + c);
#endif
}

template <class To, class From>
inline To same_bits(From x) {
  To y;
  std::memcpy(&y, &x, sizeof y);
  return y;
}

// --- what the table has

template <class T>
void seed_words(uint32_t* state, uint32_t seed) {
  state[0] = seed;
  for (int i = 1; i < kWords; ++i)
    state[i] = 1812433253u * (state[i - 1] ^ (state[i - 1] >> 30)) + i;
  state[kWords] = kWords;
}

template <class T>
void random_words(uint32_t* out, uint32_t* state, int64_t n) {
  words(out, state, n);
}

// out = low + u span, and `low` where that has rounded up to `high`
template <class T>
void random_uniform(T* out, uint32_t* state, T low, T span, T high, int64_t n) {
  for_numbers<kEach<T>>(state, n, [&](int64_t begin, const uint32_t* word, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const T x = fused(unit<T>(word + kEach<T> * i), span, low);
      out[begin + i] = x == high ? low : x;
    }
  });
}

// out = one where 2^53 u53 < limit, else 0
template <class T>
void random_bernoulli(T* out, uint32_t* state, uint64_t limit, T one, int64_t n) {
  const auto limit_high = static_cast<uint32_t>(limit >> 32);
  const auto limit_low = static_cast<uint32_t>(limit);
  for_numbers<2>(state, n, [&](int64_t begin, const uint32_t* word, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t high = word[2 * i] & 0x1fffff, low = word[2 * i + 1];
      out[begin + i] = (high < limit_high) | ((high == limit_high) & (low < limit_low)) ? one : 0;
    }
  });
}

// out = low + word mod span
template <class T>
void random_below(int64_t* out, uint32_t* state, uint32_t span, int64_t low, int64_t n) {
  for_numbers<1>(state, n, [&](int64_t begin, const uint32_t* word, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      // A quotient of 32-bit integers lies further below the next integer than double rounds.
      const auto times = static_cast<int64_t>(static_cast<double>(word[i]) / span);
      out[begin + i] = low + (static_cast<int64_t>(word[i]) - times * span);
    }
  });
}

// order = 0 .. n-1, and then each place i exchanged with i + word mod (n - i); n is below 2^32
template <class T>
void random_order(int64_t* order, uint32_t* state, int64_t n) {
  for (int64_t i = 0; i < n; ++i) order[i] = i;
  for_numbers<1>(state, n - 1, [&](int64_t begin, const uint32_t* word, int64_t count) {
    for (int64_t k = 0; k < count; ++k) {
      const int64_t i = begin + k, j = i + word[k] % static_cast<uint32_t>(n - i), at = order[i];
      order[i] = order[j];
      order[j] = at;
    }
  });
}

inline float polynomial(float x, const float* c, int n) {
  float y = c[0];
  for (int i = 1; i < n; ++i) y = fused(y, x, c[i]);
  return y;
}

// ln u, sin t and cos t of float32 as S. L. Moshier's Cephes library has them, whose coefficients
// these are, with the sums of products fused: PyTorch's bits, and the same on every machine.

// ln u of u in (0, 1]:  u = 2^e (1 + x),  e ln 2 + x - x^2 / 2 + x^3 P(x)
inline float natural_log(float u) {
  constexpr float kP[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                          -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                          2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
  const int32_t bits = same_bits<int32_t>(u), root = 0x3f3504f3;  // of 1/2
  const int32_t shift = (bits - root) >> 23;
  const float x = same_bits<float>(bits - shift * (1 << 23)) - 1;  // sqrt(1/2) <= 1 + x < sqrt(2)
  const float e = static_cast<float>(shift), square = x * x;
  const float y = fused(polynomial(x, kP, 9) * x, square, e * -2.12194440e-4f);
  return fused(e, 0.693359375f, x + fused(square, -0.5f, y));
}

// sin t, cos t of t in [0, 2 pi]:  t = j pi/4 + x, j even, by polynomials in x
inline void sine_cosine(float t, float& sine, float& cosine) {
  constexpr float kSin[] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
  constexpr float kCos[] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};
  const int32_t j = (static_cast<int32_t>(t * 1.2732395447351628f) + 1) & ~1;
  const float k = static_cast<float>(j);
  float x = fused(k, -0.78515625f, t);  // pi / 4 as a sum of short numbers
  x = fused(k, -2.4187564849853515625e-4f, x);
  x = fused(k, -3.77489497744594108e-8f, x);
  const float square = x * x;
  const float sin = fused(polynomial(square, kSin, 3) * square, x, x);
  const float cos = 1 + fused(polynomial(square, kCos, 3) * square, square, square * -0.5f);
  // The quadrant exchanges the two and sets their signs.
  const int32_t s = same_bits<int32_t>(sin), c = same_bits<int32_t>(cos);
  const int32_t exchange = (s ^ c) & -((j >> 1) & 1);
  sine = same_bits<float>(s ^ exchange ^ ((j & 4) << 29));
  cosine = same_bits<float>(c ^ exchange ^ (((j + 2) & 4) << 29));
}

inline double natural_log(double u) { return __builtin_log(u); }
inline void sine_cosine(double t, double& sine, double& cosine) {
  sine = __builtin_sin(t);
  cosine = __builtin_cos(t);
}
inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

// Blocks of 16 uniforms, u and then v, become as many normals; n is a multiple of 16.
template <class T>
void random_normal(T* out, uint32_t* state, T mean, T std, int64_t n) {
  constexpr T kTurn = static_cast<T>(6.283185307179586);
  constexpr int64_t kHalf = kPiece / kEach<T> / 2;
  const bool plain = mean == 0 && std == 1;
  for_numbers<kEach<T>>(state, n, [&](int64_t begin, const uint32_t* word, int64_t count) {
    T u[kHalf], v[kHalf];
    const int64_t half = count / 2;
    for (int64_t b = 0; b < half; b += 8)
      for (int64_t i = 0; i < 8; ++i) {
        u[b + i] = unit<T>(word + kEach<T> * (2 * b + i));
        v[b + i] = unit<T>(word + kEach<T> * (2 * b + 8 + i));
      }
    for (int64_t i = 0; i < half; ++i) {
      const T r = root(-2 * natural_log(1 - u[i]));
      T sine, cosine;
      sine_cosine(kTurn * v[i], sine, cosine);
      u[i] = r * cosine;
      v[i] = r * sine;
    }
    if (!plain)
      for (int64_t i = 0; i < half; ++i) {
        u[i] = fused(u[i], std, mean);
        v[i] = fused(v[i], std, mean);
      }
    for (int64_t b = 0; b < half; b += 8)
      for (int64_t i = 0; i < 8; ++i) {
        out[begin + 2 * b + i] = u[b + i];
        out[begin + 2 * b + 8 + i] = v[b + i];
      }
  });
}

}  // namespace

MT_KERNEL(seed_words, seed_words)
MT_KERNEL(random_words, random_words)
MT_KERNEL(random_uniform, random_uniform)
MT_KERNEL(random_bernoulli, random_bernoulli)
MT_KERNEL(random_order, random_order)
MT_KERNEL(random_below, random_below)
MT_KERNEL(random_normal, random_normal)

}  // namespace mt::MT_ISA
