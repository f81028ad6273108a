// The machine under the engine: ISA, rung, threads, memory.
#include <pybind11/stl.h>

#include "../runtime/engine.h"
#include "../runtime/memory.h"
#include "../runtime/parallel.h"
#include "common.h"

namespace mt {

void bind_runtime(py::module_& m) {
  m.def("isas", supported_isas);
  m.def("isa", isa);
  m.def("use_isa", use_isa, py::arg("name"));
  m.def("rung", rung);
  m.def("use_rung", use_rung, py::arg("name"));
  m.def("engine", engine);
  m.def("set_parts", set_parts, py::arg("parts"));
  m.def("num_threads", num_threads);
  m.def("set_num_threads", set_num_threads, py::arg("n"));
  m.def("memory_stats", [] {
    const MemoryStats s = memory_stats();
    py::dict d;
    d["in_use"] = s.in_use;
    d["kept"] = s.kept;
    d["peak"] = s.peak;
    d["requests"] = s.requests;
    d["fresh"] = s.fresh;
    return d;
  });
  m.def("reset_peak", reset_peak);
  m.def("trim", trim);
  m.def("set_kept_limit", set_kept_limit, py::arg("bytes"));
}

}  // namespace mt
