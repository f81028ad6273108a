// NumPy's own large arrays in the pool too (NEP 49: a handler of NumPy's memory): results of
// references, copies, indexing. Of fresh pages NumPy's work costs several times its arithmetic.
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "../runtime/memory.h"
#include "common.h"

namespace mt {
namespace {

constexpr size_t kLarge = 1 << 15;  // smaller arrays stay with NumPy's own handler

// numpy/ndarraytypes.h: PyDataMem_Handler, and where its functions stand in NumPy's table.
struct Allocator {
  void* context;
  void* (*malloc)(void*, size_t);
  void* (*calloc)(void*, size_t, size_t);
  void* (*realloc)(void*, void*, size_t);
  void (*free)(void*, void*, size_t);
};
struct Handler {
  char name[127];
  uint8_t version;
  Allocator allocator;
};
enum { kSetHandler = 304, kGetHandler = 305 };

Allocator small;  // NumPy's own

// The blocks of the pool that NumPy holds: realloc does not say how large a block was, and an array
// without elements is freed as one byte whatever was asked for.
std::mutex held_mutex;
std::unordered_map<void*, size_t>& held() {
  static auto* const blocks =
      new std::unordered_map<void*, size_t>;  // never freed: arrays may live on
  return *blocks;
}

void* keep(void* block, size_t bytes) {
  if (block != nullptr) {
    std::lock_guard<std::mutex> lock(held_mutex);
    held()[block] = bytes;
  }
  return block;
}

// The bytes of a block that was kept, which is forgotten; 0 of NumPy's own.
size_t forget(void* block) {
  std::lock_guard<std::mutex> lock(held_mutex);
  const auto found = held().find(block);
  if (found == held().end()) return 0;
  const size_t bytes = found->second;
  held().erase(found);
  return bytes;
}

void* get(void*, size_t bytes) {
  return bytes < kLarge ? small.malloc(small.context, bytes) : keep(allocate(bytes), bytes);
}

void* get_zeroed(void*, size_t count, size_t item) {
  size_t bytes;
  if (__builtin_mul_overflow(count, item, &bytes)) return nullptr;
  return bytes < kLarge ? small.calloc(small.context, count, item)
                        : keep(allocate_zeroed(bytes), bytes);
}

void give_back(void*, void* block, size_t bytes) {
  if ((bytes < kLarge && bytes > 1) || forget(block) == 0)
    small.free(small.context, block, bytes);
  else
    release(block);
}

void* resize(void* context, void* block, size_t bytes) {
  const size_t before = forget(block);
  if (before == 0) return small.realloc(small.context, block, bytes);  // and stays NumPy's
  void* moved = get(context, bytes);
  if (moved == nullptr) {
    keep(block, before);
    return nullptr;
  }
  std::memcpy(moved, block, before < bytes ? before : bytes);
  release(block);
  return moved;
}

}  // namespace

void pool_numpy_memory() {
  static Handler handler{"minitensor", 1, {nullptr, get, get_zeroed, resize, give_back}};
  const py::capsule table = py::module_::import("numpy._core._multiarray_umath").attr("_ARRAY_API");
  void** const functions = table.get_pointer<void*>();
  const auto current = py::reinterpret_steal<py::capsule>(
      reinterpret_cast<PyObject* (*)()>(functions[kGetHandler])());
  if (!current) throw py::error_already_set();
  small = current.get_pointer<Handler>()->allocator;
  const py::capsule ours(&handler, "mem_handler");
  const auto before = py::reinterpret_steal<py::object>(
      reinterpret_cast<PyObject* (*)(PyObject*)>(functions[kSetHandler])(ours.ptr()));
  if (!before) throw py::error_already_set();
}

}  // namespace mt
