#include "dispatch.h"

#include <stdexcept>

namespace mt {

#define MT_DECLARE(isa)                \
  namespace isa {                      \
  template <class T>                   \
  Kernels<T> table(Rung);              \
  template <>                          \
  Kernels<float> table<float>(Rung);   \
  template <>                          \
  Kernels<double> table<double>(Rung); \
  }

MT_DECLARE(generic)
#if defined(__x86_64__)
MT_DECLARE(avx2)
MT_DECLARE(avx512)
#elif defined(__aarch64__)
MT_DECLARE(neon)
#endif

namespace {

bool always() { return true; }

#if defined(__x86_64__)
// The feature sets of the psABI levels that the kernels are compiled for (-march=x86-64-v3, -v4).
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

struct Isa {
  const char* name;
  bool (*runs_here)();
  Kernels<float> (*f32)(Rung);
  Kernels<double> (*f64)(Rung);
};

// The whole dispatcher: the last row that runs here is taken, and of the row before it what it does
// not have for doubles.
const Isa kIsas[] = {
    {"generic", always, generic::table<float>, generic::table<double>},
#if defined(__x86_64__)
    {"avx2", has_avx2, avx2::table<float>, avx2::table<double>},
    {"avx512", has_avx512, avx512::table<float>, avx512::table<double>},
#elif defined(__aarch64__)
    {"neon", always, neon::table<float>, neon::table<double>},
#endif
};

const char* const kRungNames[kRungs] = {"naive", "blocked", "simd", "fast"};

struct Active {
  const Isa* isa;
  Rung rung = kFast;
  Kernels<float> f32;
  Kernels<double> f64;

  Active() {
    for (const Isa& row : kIsas)
      if (row.runs_here()) isa = &row;
    refresh();
  }
  void refresh() {
    f32 = isa->f32(rung);
    f64 = isa->f64(rung);
    if (isa == kIsas) return;
    const Kernels<double> before = isa[-1].f64(rung);
#define MT_ROW(name, args) \
  if (f64.name == nullptr) f64.name = before.name;
    MT_KERNEL_TABLE(MT_ROW)
#undef MT_ROW
  }
};

Active& state() {
  static Active active;
  return active;
}

}  // namespace

template <>
const Kernels<float>& active<float>() {
  return state().f32;
}
template <>
const Kernels<double>& active<double>() {
  return state().f64;
}

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const Isa& row : kIsas)
    if (row.runs_here()) names.push_back(row.name);
  return names;
}

const char* isa() { return state().isa->name; }
const char* rung() { return kRungNames[state().rung]; }

void use_isa(const std::string& name) {
  for (const Isa& row : kIsas) {
    if (name != row.name) continue;
    if (!row.runs_here())
      throw std::invalid_argument("this CPU does not run the ISA '" + name + "'");
    state().isa = &row;
    state().refresh();
    return;
  }
  throw std::invalid_argument("unknown ISA '" + name + "'");
}

void use_rung(const std::string& name) {
  for (int r = 0; r < kRungs; ++r) {
    if (name != kRungNames[r]) continue;
    state().rung = static_cast<Rung>(r);
    state().refresh();
    return;
  }
  throw std::invalid_argument("unknown kernels '" + name + "': naive, blocked, simd or fast");
}

}  // namespace mt
