// Sums, products and their inverses, element by element.
#include "elementwise.h"

namespace mt::MT_ISA {
namespace {

MT_BINARY(add, x + y)
MT_BINARY(sub, x - y)
MT_BINARY(mul, x* y)
MT_BINARY(div, x / y)
MT_UNARY(neg, -x)
MT_UNARY(square, x* x)
MT_UNARY(reciprocal, 1 / x)

}  // namespace

MT_KERNEL(add, add)
MT_KERNEL(sub, sub)
MT_KERNEL(mul, mul)
MT_KERNEL(div, div)
MT_KERNEL(neg, neg)
MT_KERNEL(square, square)
MT_KERNEL(reciprocal, reciprocal)

}  // namespace mt::MT_ISA
