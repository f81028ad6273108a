// Floats in double precision: what a few thousand of them end in should not be rounded many times.
#pragma once
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

constexpr int kWide = kLanes<double>;

// A vector of half as many lanes, each the sum of two of v's.
inline Vec<double> widened(Vec<double> v) { return v; }
inline Vec<double> widened(Vec<float> v) {
  typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
  Half half[2];
  std::memcpy(half, &v, sizeof v);
  return __builtin_convertvector(half[0], Vec<double>) +
         __builtin_convertvector(half[1], Vec<double>);
}

// The first `count` of kWide numbers, as doubles.
template <class T>
inline Vec<double> widened(const T* x, int count = kWide) {
  typedef T Narrow __attribute__((vector_size(kWide * sizeof(T))));
  Narrow v = {};
  if (count == kWide)
    std::memcpy(&v, x, sizeof v);
  else
    std::memcpy(&v, x, count * sizeof(T));
  return __builtin_convertvector(v, Vec<double>);
}

}  // namespace
}  // namespace mt::MT_ISA
