// The machine under the engine: ISA, rung, threads, memory.
#include <pybind11/stl.h>

#include "../runtime/engine.h"
#include "../runtime/memory.h"
#include "../runtime/parallel.h"
#include "common.h"

namespace mt {
namespace {

// (code, instruction) of the innermost Python frame whose file's name does not begin with
// `package`; None if there is none. Read for an error only, but taken at every recorded operator.
PyObject* place(PyObject* package) {
  PyFrameObject* frame = PyEval_GetFrame();
  Py_XINCREF(frame);
  while (frame != nullptr) {
    PyCodeObject* const code = PyFrame_GetCode(frame);
    const Py_ssize_t ours = PyUnicode_Tailmatch(code->co_filename, package, 0, PY_SSIZE_T_MAX, -1);
    if (ours <= 0) {
      PyObject* const instruction = PyLong_FromLong(PyFrame_GetLasti(frame));
      PyObject* const found = ours == 0 && instruction != nullptr
                                  ? PyTuple_Pack(2, reinterpret_cast<PyObject*>(code), instruction)
                                  : nullptr;
      Py_XDECREF(instruction);
      Py_DECREF(code);
      Py_DECREF(frame);
      return found;
    }
    PyFrameObject* const back = PyFrame_GetBack(frame);
    Py_DECREF(code);
    Py_DECREF(frame);
    frame = back;
  }
  Py_RETURN_NONE;
}

}  // namespace

void bind_runtime(py::module_& m) {
  def_fast(m, "place", "place(package: str) -> tuple[types.CodeType, int] | None",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             if (given == 1 && PyUnicode_Check(arguments[0])) return place(arguments[0]);
             PyErr_SetString(PyExc_TypeError, "place: takes a path");
             return nullptr;
           });
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
