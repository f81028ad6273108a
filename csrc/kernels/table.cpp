// The rows of kernels.h, gathered into this ISA's tables.
#include "../kernels.h"

namespace mt::MT_ISA {

template <class T>
Kernels<T> table(Rung rung);

template <>
Kernels<float> table<float>(Rung rung) {
  return {
#define MT_ROW(name, args) name##_f32[rung],
      MT_KERNEL_TABLE(MT_ROW)
#undef MT_ROW
  };
}

template <>
Kernels<double> table<double>(Rung rung) {
  return {
#define MT_ROW(name, args) name##_f64[rung],
      MT_KERNEL_TABLE(MT_ROW)
#undef MT_ROW
  };
}

}  // namespace mt::MT_ISA
