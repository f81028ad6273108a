// Lines asked for before they are read or written; whether that pays, runtime/ahead.h says.
#pragma once

#include <cstdint>

#include "../runtime/ahead.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kAhead = 2048;          // bytes
constexpr int64_t kWorthAhead = 1 << 15;  // bytes: less is in the first cache soon enough

// Asks for the line of p, which need not exist, to read it.
inline void fetch(const void* p) { __builtin_prefetch(p); }

// Whether to ask for the lines of so many bytes that are written in order.
inline bool worth_asking(int64_t bytes) { return bytes >= kWorthAhead && asking_pays(); }

// Asks for the lines of n values from kAhead after p, to write to them.
template <class T>
inline void will_write(const T* p, int64_t n) {
  const char* const line = reinterpret_cast<const char*>(p) + kAhead;
  for (int64_t i = 0; i < n * static_cast<int64_t>(sizeof(T)); i += 64) fetch_to_write(line + i);
}

}  // namespace
}  // namespace mt::MT_ISA
