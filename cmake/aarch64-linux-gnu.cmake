# Cross-compiling for 64-bit Arm Linux with the compiler of Debian's g++-aarch64-linux-gnu.
#
#   cmake --toolchain cmake/aarch64-linux-gnu.cmake -DMINITENSOR_SYSROOT=<folder> ...
#
# The sysroot is a folder with an arm64 system's usr/include and usr/lib, Python's headers among them; tests/aarch64.sh
# makes one and runs what was built under qemu.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# CMake reads this file again in each of its little test projects, which see only the variables listed here.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MINITENSOR_SYSROOT)
set(CMAKE_SYSROOT ${MINITENSOR_SYSROOT})

# Tools run on this machine; libraries and headers come from the sysroot, never from this machine.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
