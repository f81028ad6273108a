// The module minitensor._core: every kernel, under its own name.
#include "common.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "minitensor's compiled kernels; private, called by minitensor.ops alone";
  mt::translate_errors();
  mt::pool_numpy_memory();
  mt::bind_bfloat16(m);
  mt::bind_runtime(m);
  mt::bind_elementwise(m);
  mt::bind_loops(m);
  mt::bind_reduce(m);
  mt::bind_embedding(m);
  mt::bind_scatter(m);
  mt::bind_masks(m);
  mt::bind_optim(m);
  mt::bind_create(m);
  mt::bind_random(m);
  mt::bind_matmul(m);
  mt::bind_conv(m);
  mt::bind_softmax(m);
  mt::bind_loss(m);
  mt::bind_norm(m);
  mt::bind_pad(m);
  mt::bind_pool(m);
  mt::bind_resample(m);
  mt::bind_attention(m);
  mt::bind_rnn(m);
  mt::bind_recurrent(m);
}
