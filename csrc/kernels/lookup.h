// Vectors from places that a table tells, shared by pool.cpp and conv.cpp.
#pragma once

#include <cstdint>
#include <cstring>

#include "../simd.h"

namespace mt::MT_ISA {
namespace {

// p[at[0]], p[at[1]], ..., or 0 where a place is negative.
template <class T>
inline Vec<T> look_up(const T* p, Mask<T> at) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_mask_i32gather_ps(
        _mm512_setzero_ps(), _mm512_cmpge_epi32_mask((__m512i)at, __m512i{}), (__m512i)at, p, 4);
  else
    return (Vec<T>)_mm512_mask_i64gather_pd(
        _mm512_setzero_pd(), _mm512_cmpge_epi64_mask((__m512i)at, __m512i{}), (__m512i)at, p, 8);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_mask_i32gather_ps(__m256{}, p, (__m256i)at, (__m256)~at, 4);
  else
    return (Vec<T>)_mm256_mask_i64gather_pd(__m256d{}, p, (__m256i)at, (__m256d)~at, 8);
#else
  Vec<T> v;
  for (int i = 0; i < kLanes<T>; ++i) v[i] = at[i] < 0 ? 0 : p[at[i]];
  return v;
#endif
}

// Of a table of smaller numbers.
template <class T>
inline Mask<T> places(const int32_t* p) {
  int32_t __attribute__((vector_size(4 * kLanes<T>))) v;
  std::memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, Mask<T>);
}

}  // namespace
}  // namespace mt::MT_ISA
