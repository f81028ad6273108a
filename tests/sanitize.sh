#!/usr/bin/env bash
# The tests under a sanitizer of GCC's, built by the CMake preset of that name.
#
#   tests/sanitize.sh asan  [pytest arguments]    memory errors and undefined behaviour
#   tests/sanitize.sh ubsan [pytest arguments]    undefined behaviour alone: quicker, and shows what asan stops before
#   tests/sanitize.sh tsan  [pytest arguments]    data races
#
# Builds are kept in build/<name>, the packages that they and the tests need in ~/.cache/minitensor-sanitize (550 MB),
# so that a second run only compiles what changed. Deleting either is safe.
#
# Where GCC, its sanitizers or the packages cannot be had, one line says why and the script succeeds. Otherwise it fails
# if the build fails, a test fails, or a sanitizer has anything to report, be it in a process that a test started.
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/minitensor-sanitize

usage() {
  echo "usage: tests/sanitize.sh asan|ubsan|tsan [pytest arguments]" >&2
  exit 2
}
skip() {
  echo "sanitize.sh: skipped: $*"
  exit 0
}

# Python itself is not instrumented, so the sanitizer's runtime must be loaded before it. libasan looks up __cxa_throw
# as it starts, and aborts at the first C++ exception if it found none: hence libstdc++ beside it.
[ $# -gt 0 ] || usage
name=$1
shift
case $name in
  asan) preset=asan define=() preload=(libasan libubsan libstdc++) ;;
  ubsan) preset=asan define=(-DMINITENSOR_SANITIZE=undefined) preload=() ;; # no runtime that must come first
  tsan) preset=tsan define=() preload=(libtsan) ;;
  *) usage ;;
esac

# --- the tools --------------------------------------------------------------------------------------------------------
command -v g++ >/dev/null || skip "g++ is missing"
libraries=
for library in "${preload[@]}"; do
  path=$(g++ -print-file-name="$library.so")
  [ -e "$path" ] || skip "g++ has no $library"
  libraries+="$(readlink -f "$path") "
done
python3 -c 'import tomllib, venv' 2>/dev/null || skip "python3 is missing, older than 3.11 or without venv"
mkdir -p "$cache"

# A virtual environment of its own: an editable install of minitensor in another would come before what is built here.
# It holds what pyproject.toml asks for to build, run and test.
mapfile -t requirements < <(python3 - "$repo/pyproject.toml" <<'END'
import re, sys, tomllib
with open(sys.argv[1], "rb") as file:
    data = tomllib.load(file)
project = data["project"]

def extra(name):
    for requirement in project["optional-dependencies"][name]:
        own = re.fullmatch(rf"{project['name']}\[([\w,]+)\]", requirement)
        yield from (r for part in own[1].split(",") for r in extra(part)) if own else [requirement]

print("cmake", "ninja", *data["build-system"]["requires"], *project["dependencies"], *extra("test"), sep="\n")
END
)
venv=$cache/venv
python=$venv/bin/python
if [ "$(cat "$venv/requirements.txt" 2>/dev/null)" != "${requirements[*]}" ]; then
  {
    python3 -m venv --clear "$venv" &&
      "$python" -m pip install --quiet --disable-pip-version-check "${requirements[@]}"
  } >"$cache/setup.log" 2>&1 || skip "pip cannot install the build's and the tests' packages (see $cache/setup.log)"
  echo "${requirements[*]}" >"$venv/requirements.txt"
fi
export PATH=$venv/bin:$PATH

# --- build ------------------------------------------------------------------------------------------------------------
build=$repo/build/$name stage=$repo/build/$name/stage
(
  cd "$repo" # where --preset looks
  CC=gcc CXX=g++ cmake --preset "$preset" -B "$build" "${define[@]}" -DPython_EXECUTABLE="$python" \
    -Dpybind11_DIR="$("$python" -m pybind11 --cmakedir)" -DCMAKE_INSTALL_MESSAGE=NEVER \
    -DCMAKE_MODULE_PATH="$("$python" -c 'import cython_cmake; print(*cython_cmake.__path__)')/cmake"
)
cmake --build "$build" --parallel "$(nproc)"
rm -rf "$stage"
mkdir "$stage"
tar -C "$repo" --exclude='*.so' --exclude=__pycache__ -cf - minitensor | tar -C "$stage" -xf -
cmake --install "$build" --prefix "$stage"

# --- test -------------------------------------------------------------------------------------------------------------
# Reports go to files, for pytest would swallow what a dying process says (and --capture=sys, since beside libasan the
# reports of libubsan go to stderr all the same). Leaks are not looked for: CPython leaves much of its memory to the
# system at its end. An allocation too large fails as it does otherwise. A process may start threads after a fork.
reports=$build/report
rm -f "$reports".*
common=log_path=$reports:allocator_may_return_null=1
export ASAN_OPTIONS=$common:detect_leaks=0
export UBSAN_OPTIONS=$common:halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=$common:die_after_fork=0

# BLAS' own threads meet in ways that ThreadSanitizer does not see. Its memory map has no room for the widest address
# randomisation (vm.mmap_rnd_bits above 28 or so), which setarch -R turns off where a container allows it.
export OPENBLAS_NUM_THREADS=1 PYTHONPATH=$stage PYTHONSAFEPATH=1 HYPOTHESIS_STORAGE_DIRECTORY=$build/hypothesis
run=()
setarch -R true 2>/dev/null && run=(setarch -R)

# PYTHONSAFEPATH keeps the checkout's minitensor off the path, here and in a Python that a test starts; faulthandler
# would take the signals that the sanitizer explains; Hypothesis' profile "ci" sets no deadlines: all is slower here.
cd "$repo"
status=0
LD_PRELOAD=$libraries "${run[@]}" "$python" -m pytest -p no:faulthandler --capture=sys \
  -o cache_dir="$build/pytest" --hypothesis-profile=ci "$@" || status=$?
for report in "$reports".*; do
  [ -e "$report" ] || continue
  cat "$report"
  [ $status -ne 0 ] || status=1
done
exit $status
