#!/usr/bin/env bash
# The engine matrix: emitted cases, built by each compiler with each set of flags, against the loop interpreter's bits.
#
#     run.sh EMIT_CASES WORK ci|full
#
# TUSK_CASES: how many random graphs, and kernels, beside the samples of all ops (ci: 200, full: 2000).
set -euo pipefail
emit=$1
work=$2
size=$3
jobs=$(nproc)
rm -rf "$work"
mkdir -p "$work"

strict="-std=c++17 -Wall -Wextra -Wconversion -Werror -fno-exceptions -fno-rtti"
failed=0
skipped=()

has_flag() { grep -qw "$1" /proc/cpuinfo; }

# build_and_run NAME CASES RUNNER COMPILER FLAGS...
build_and_run() {
  local name=$1 cases=$2 runner=$3
  shift 3
  local out=$work/bin_$name
  mkdir -p "$out"
  local log=$out/log
  : > "$log"
  # shellcheck disable=SC2016
  printf '%s\n' "$cases"/all_*.cpp | xargs -P "$jobs" -n 1 sh -c '
    out=$0; runner=$1; compiler=$2; flags=$3; batch=$4
    program=$out/$(basename "$batch" .cpp)
    $compiler $flags "$batch" -o "$program" 2> "$program.err" || { echo "$batch does not build"; head -20 "$program.err"; exit 1; }
    $runner "$program" > "$program.log" 2>&1 || { echo "$batch fails"; cat "$program.log"; exit 1; }
  ' "$out" "$runner" "$1" "$strict ${*:2}" >> "$log" 2>&1 || true
  if [[ -s $log ]]; then
    echo "FAILED  $name"
    sed 's/^/    /' "$log" | head -60
    failed=1
  else
    echo "ok      $name"
  fi
  rm -rf "$out"
}

x86=$([[ $(uname -m) == x86_64 ]] && echo yes || echo no)
avx2="-mavx2 -mfma"
avx512="-mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma"

if [[ $size == ci ]]; then
  "$emit" "$work/fma" --graphs "${TUSK_CASES:-200}" --kernels "${TUSK_CASES:-200}"
  build_and_run gcc_O3_scalar "$work/fma" "" g++ -O3
  build_and_run clang_O0_scalar "$work/fma" "" clang++ -O0
  if [[ $x86 == yes ]] && has_flag avx2; then
    # shellcheck disable=SC2086
    build_and_run gcc_O3_avx2 "$work/fma" "" g++ -O3 $avx2
  else
    skipped+=(avx2)
  fi
else
  for profile in fma muladd; do
    "$emit" "$work/$profile" --profile $profile --graphs "${TUSK_CASES:-2000}" --kernels "${TUSK_CASES:-2000}"
    for compiler in g++ clang++; do
      for level in O0 O3; do
        build_and_run "${profile}_${compiler}_${level}_scalar" "$work/$profile" "" $compiler -$level
        if [[ $x86 == yes ]] && has_flag avx2; then
          # shellcheck disable=SC2086
          build_and_run "${profile}_${compiler}_${level}_avx2" "$work/$profile" "" $compiler -$level $avx2
        else
          skipped+=("${profile}_${compiler}_${level}_avx2")
        fi
        if [[ $x86 == yes ]] && has_flag avx512f; then
          # shellcheck disable=SC2086
          build_and_run "${profile}_${compiler}_${level}_avx512" "$work/$profile" "" $compiler -$level $avx512
        else
          skipped+=("${profile}_${compiler}_${level}_avx512")
        fi
      done
    done
    for level in O0 O3; do
      if command -v aarch64-linux-gnu-g++ > /dev/null && command -v qemu-aarch64 > /dev/null; then
        build_and_run "${profile}_gcc_${level}_aarch64" "$work/$profile" qemu-aarch64 aarch64-linux-gnu-g++ -$level -static
      else
        skipped+=("${profile}_gcc_${level}_aarch64")
      fi
    done
  done
fi
echo "${#skipped[@]} engines skipped${skipped[*]:+: ${skipped[*]}}"
exit $failed
