// Which ISA's and which rung's kernel table is in force.
#pragma once

#include <string>
#include <vector>

#include "../kernels.h"

namespace mt {

// The table in force. Two processes never share it; switching while kernels run is not supported.
template <class T>
const Kernels<T>& active();

std::vector<std::string> supported_isas();  // compiled in and runnable here, the best last
const char* isa();                          // the one in force
const char* rung();                         // "naive", "blocked", "simd" or "fast"
void use_isa(const std::string& name);      // throws std::invalid_argument
void use_rung(const std::string& name);     // throws std::invalid_argument

}  // namespace mt
