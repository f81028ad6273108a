// The widest vectors of the ISA being compiled, as GCC and Clang spell them: arithmetic on a `Vec<T>` is written like
// arithmetic on a T. Tails go through load_n/store_n, so that a row's last elements take the very same path as the rest.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace mt::MT_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef int32_t mask __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef int64_t mask __attribute__((vector_size(kVectorBytes)));
};

template <class T>
using Vec = typename VecOf<T>::type;  // kLanes<T> values
template <class T>
using Mask = typename VecOf<T>::mask;  // what a comparison of two Vec<T> gives: all bits or none, per lane
template <class T>
constexpr int kLanes = kVectorBytes / sizeof(T);

template <class T>
inline Vec<T> splat(T s) {
  return s - Vec<T>{};  // exact, and folds to one broadcast
}

template <class T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof v);
}

// The first n lanes, 0 <= n <= kLanes; the others read as `fill` and are not written.
template <class T>
inline Vec<T> load_n(const T* p, int n, T fill = 0) {
  Vec<T> v = splat<T>(fill);
  std::memcpy(&v, p, n * sizeof(T));
  return v;
}
template <class T>
inline void store_n(T* p, Vec<T> v, int n) {
  std::memcpy(p, &v, n * sizeof(T));
}

template <class T>
inline Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  return m ? a : b;
}

template <class T>
inline T sum(Vec<T> v) {
  T s = 0;
  for (int i = 0; i < kLanes<T>; ++i) s += v[i];
  return s;
}

// a if a > b or a is NaN: NaN wins, as in NumPy's and PyTorch's maximum, whichever side it is on.
template <class T>
inline Vec<T> maximum(Vec<T> a, Vec<T> b) {
  return (a > b) | (a != a) ? a : b;
}

}  // namespace
}  // namespace mt::MT_ISA
