// Faster products of float32 that are less exact: each number is split into parts of bfloat16,
// which units of some CPUs multiply (csrc/engines/bf16.cpp). In force where
// set_float32_matmul_precision asks for it and the CPU has such a unit.
#pragma once

#include <cstdint>

namespace mt {

// c (m, n) = a (m, k) b (k, n) + d (m, n) on any strides; d may be null. d and c are apart.
struct FloatProduct {
  int64_t m, n, k;
  float* c;
  int64_t c_row, c_col;
  const float* a;
  int64_t a_row, a_col;  // one of them is 1
  const float* b;
  int64_t b_row, b_col;  // one of them is 1
  const float* d;
  int64_t d_row, d_col;
};

// c by parts of bfloat16, if they are in force. False, with c to be computed by the caller, if they
// are not, if splitting the operands costs more than it saves, or if a result is not finite: the
// parts of an infinity, or of what bfloat16 cannot hold, make NaNs that the product does not have.
bool multiply_by_parts(const FloatProduct& p);
constexpr int64_t kLeastByParts = 1 << 18;  // multiplications that are worth asking

void set_parts(int parts);  // of each number: 2 "high", 1 "medium", 0 "highest"
// In force: "amx" or "avx512_bf16", which knows one part only; "float32" where numbers are not
// split.
const char* engine();

}  // namespace mt
