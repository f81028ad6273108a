// Partial sums brought together in double precision: what a few thousand floats end in should not
// be rounded once for each lane.
#pragma once
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

// A vector of half as many lanes, each the sum of two of v's.
inline Vec<double> widened(Vec<double> v) { return v; }
inline Vec<double> widened(Vec<float> v) {
  typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
  Half half[2];
  std::memcpy(half, &v, sizeof v);
  return __builtin_convertvector(half[0], Vec<double>) +
         __builtin_convertvector(half[1], Vec<double>);
}

}  // namespace
}  // namespace mt::MT_ISA
