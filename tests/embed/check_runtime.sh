#!/bin/sh
# Compiles the runtime in every configuration that this machine's compilers offer, with all warnings as errors; runs those
# that it can, compares the hashes, and looks for symbols other than memcpy and memset.
# Usage: check_runtime.sh [LOG2_OF_ROUNDS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rounds=${1:-16}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=c++17 -Wall -Wextra -Wconversion -Wshadow -Werror -fno-exceptions -fno-rtti -I$here/../../runtime"
expected=
status=0

# check NAME COMPILER FLAGS RUN-PREFIX ("none": compile only)
check() {
  name=$1 compiler=$2 options=$3 run=$4
  command -v "$compiler" >/dev/null || { echo "skip  $name: no $compiler"; return 0; }
  case $run in qemu*) command -v "$run" >/dev/null || run=none ;; esac
  # shellcheck disable=SC2086
  if ! "$compiler" $flags $options -c "$here/runtime_check.cpp" -o "$work/check.o" 2>"$work/log"; then
    echo "FAIL  $name does not compile"; head -20 "$work/log"; status=1; return 0
  fi
  # The functions under test are inlined into the check, which itself needs printf and atoi.
  strange=$(nm -u "$work/check.o" | awk '{print $2}' |
            grep -vxE 'memcpy|memset|printf|puts|putchar|atoi|strtol|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__printf_chk' || true)
  if [ -n "$strange" ]; then echo "FAIL  $name needs" $strange; status=1; return 0; fi
  [ "$run" = none ] && { echo "ok    $name (compiled)"; return 0; }
  # shellcheck disable=SC2086
  "$compiler" $options "$work/check.o" -o "$work/check"
  [ "$run" = native ] && run=
  result=$($run "$work/check" "$rounds") || { echo "FAIL  $name"; echo "$result"; status=1; return 0; }
  [ -n "$expected" ] || expected=$result
  if [ "$result" = "$expected" ]; then echo "ok    $name"; return 0; fi
  echo "FAIL  $name has other bits"; echo "$result"; status=1
}

has() { grep -qw "$1" /proc/cpuinfo && echo native || echo none; }

avx512="-mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma"
for compiler in g++ clang++; do
  check "$compiler -O0, AVX2 and FMA" "$compiler" "-O0 -mavx2 -mfma" "$(has avx2)"
  check "$compiler -O1, no vectors" "$compiler" "-O1 -DTUSK_SCALAR" native
  check "$compiler -O2, SSE2" "$compiler" -O2 native
  check "$compiler -O2, SSE4.1" "$compiler" "-O2 -msse4.1" "$(has sse4_1)"
  check "$compiler -O2, AVX2 without FMA" "$compiler" "-O2 -mavx2" none
  check "$compiler -O2, AVX2 and FMA" "$compiler" "-O2 -mavx2 -mfma" "$(has avx2)"
  check "$compiler -O2, AVX-512" "$compiler" "-O2 $avx512" "$(has avx512bw)"
  check "$compiler -O3, this machine" "$compiler" "-O3 -march=native" native
done
check "aarch64 -O0" aarch64-linux-gnu-g++ "-O0 -static" qemu-aarch64
check "aarch64 -O2" aarch64-linux-gnu-g++ "-O2 -static" qemu-aarch64
[ -n "$expected" ] && echo "$expected"
exit $status
