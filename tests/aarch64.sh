#!/usr/bin/env bash
# The tests on another ISA: cross-compiles the kernels for 64-bit Arm and runs them in an emulator, on an x86-64 Debian.
#
#   tests/aarch64.sh [pytest arguments]    tests/test_ops.py, if they name no file
#
# An arm64 system's Python and C library are unpacked from Debian's packages into a sysroot (nothing of it is
# installed), NumPy and pytest come as PyPI's arm64 wheels, and qemu-user runs that Python like any other process.
# All of that is kept in ~/.cache/minitensor-aarch64 (250 MB), the build in build/aarch64, so that a second run only
# compiles what changed; deleting either is safe. Only the emulator and the cross-compiler are installed, if they are
# missing, which takes root.
#
# Where these tools cannot be had, one line says why and the script succeeds: it is an extra check, not a requirement.
# Where they can, a failed build or test fails the script.
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/minitensor-aarch64
sysroot=$cache/sysroot      # an arm64 system: C library, Python, headers
site=$cache/site            # arm64 wheels: what the tests import, and pybind11's headers
build=$repo/build/aarch64
stage=$build/stage          # minitensor as it would be installed
log=$cache/setup.log
python=$sysroot/usr/bin/python3-emulated
jobs=$(nproc)

skip() {
  echo "aarch64.sh: skipped: $*"
  exit 0
}

# --- the tools --------------------------------------------------------------------------------------------------------
[ "$(uname -m)" = x86_64 ] || skip "it is for x86-64 machines, and this is $(uname -m)"
for tool in apt-get dpkg-deb python3; do
  command -v $tool >/dev/null || skip "$tool is missing (it is made for Debian)"
done
python3 -c 'import tomllib, pip' 2>/dev/null || skip "python3 is older than 3.11 or has no pip"
mkdir -p "$cache"
missing=()
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v cmake >/dev/null || missing+=(cmake)
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || skip "not root, and Debian's ${missing[*]} must be installed"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 || skip "apt-get cannot install ${missing[*]} (see $log)"
fi

# --- the sysroot ------------------------------------------------------------------------------------------------------
# apt with an architecture, state and cache of its own: the machine's package lists stay as they are, and no root is
# needed. It starts from an empty system, hence fetches all that Python needs down to the C library.
if [ ! -x "$python" ]; then
  apt=$cache/apt
  rm -rf "$apt" "$sysroot" "$sysroot.new"
  mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial "$sysroot.new"
  touch "$apt/status"
  options=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User="$(id -un)"
    -o Dir::State="$apt/state" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache")
  {
    apt-get "${options[@]}" update &&
      apt-get "${options[@]}" install -y --no-install-recommends --download-only python3 libpython3-dev libstdc++6
  } >"$log" 2>&1 || skip "apt-get cannot fetch arm64 packages (see $log)"
  for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$sysroot.new"; done
  rm -rf "$apt"

  # Python takes its own name from argv[0], so that sys.executable is this file, and a test that starts another Python
  # starts it in the emulator too.
  cat >"$sysroot.new/usr/bin/python3-emulated" <<'END'
#!/bin/sh
root=${0%/usr/bin/*}
exec qemu-aarch64 -0 "$0" -L "$root" "$root/usr/bin/python3" "$@"
END
  chmod +x "$sysroot.new/usr/bin/python3-emulated"
  mv "$sysroot.new" "$sysroot" # last, so that an interrupted run starts over
fi

# The oldest core of the family: an instruction beyond the baseline traps, and BLAS without SVE is quicker to emulate.
export QEMU_CPU=cortex-a72
export PYTHONPATH=$stage:$site
# Parsing every imported module anew would be the slowest part of all.
export PYTHONPYCACHEPREFIX=$cache/pycache PYTHONDONTWRITEBYTECODE=

# --- the wheels -------------------------------------------------------------------------------------------------------
# What pyproject.toml asks for to build, run and test, without the examples' extra, which no operator needs.
mapfile -t requirements < <(python3 - "$repo/pyproject.toml" <<'END'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    data = tomllib.load(file)
project = data["project"]
extra = [r for r in project["optional-dependencies"]["test"] if not r.startswith(project["name"])]
print(*data["build-system"]["requires"], *project["dependencies"], *extra, sep="\n")
END
)
if [ "$(cat "$site/requirements.txt" 2>/dev/null)" != "${requirements[*]}" ]; then
  version=$("$python" -c 'import sys; print("{}.{}".format(*sys.version_info))')
  platforms=()
  for glibc in 17 27 28; do platforms+=(--platform "manylinux_2_${glibc}_aarch64"); done
  rm -rf "$site"
  python3 -m pip install --quiet --disable-pip-version-check --no-compile --target "$site" --only-binary=:all: \
    --python-version "$version" "${platforms[@]}" --platform manylinux2014_aarch64 "${requirements[@]}" \
    >"$log" 2>&1 || skip "pip cannot fetch the arm64 wheels (see $log)"
  echo "${requirements[*]}" >"$site/requirements.txt"
fi

# --- build ------------------------------------------------------------------------------------------------------------
# CMake asks the emulated Python for its file names; the headers are named because CMake 3.25 looks for none. The graph is
# left uncompiled: the same file runs as plain Python.
cmake -S "$repo" -B "$build" --toolchain "$repo/cmake/aarch64-linux-gnu.cmake" -DMINITENSOR_SYSROOT="$sysroot" \
  -DPython_EXECUTABLE="$python" -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" \
  -DPython_INCLUDE_DIR="$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
  -DMINITENSOR_COMPILE_GRAPH=OFF -DSKBUILD_PROJECT_VERSION=0 -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_MESSAGE=NEVER
cmake --build "$build" --parallel "$jobs"
rm -rf "$stage"
mkdir "$stage"
tar -C "$repo" --exclude='*.so' --exclude=__pycache__ -cf - minitensor | tar -C "$stage" -xf -
cmake --install "$build" --prefix "$stage"

# --- test -------------------------------------------------------------------------------------------------------------
# PYTHONSAFEPATH keeps the checkout's minitensor, which has no arm64 kernels, off the path, here and in a Python that a
# test starts. Hypothesis' profile "ci" sets no deadlines: an emulated example may take a hundred times longer than a
# native one. One BLAS thread, since the emulator's are slow.
export MINITENSOR_ISA=neon OPENBLAS_NUM_THREADS=1 PYTHONSAFEPATH=1
export HYPOTHESIS_STORAGE_DIRECTORY=$build/hypothesis
cd "$repo"
files=
for argument; do [ ! -e "${argument%%::*}" ] || files=yes; done
[ "$files" ] || set -- "$@" tests/test_ops.py
exec "$python" -m pytest -o cache_dir="$build/pytest" --hypothesis-profile=ci "$@"
