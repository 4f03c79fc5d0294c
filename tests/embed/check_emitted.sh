#!/bin/sh
# Compiles models and builds what is emitted with strict warnings, by GCC -O3 and Clang -O0, plain and with AVX2: the self-test
# compares bits with the loop interpreter (law 4), and no symbol but those of the C library's memory functions stays open.
#
#     check_emitted.sh TUSK WORK MODEL...
set -eu
tusk=$1
work=$2
shift 2
rm -rf "$work"
mkdir -p "$work"
strict="-std=c++17 -Wall -Wextra -Wconversion -Werror -fno-exceptions -fno-rtti"
clang_strict="$strict -Wno-sign-conversion"
models=0
for model in "$@"; do
  out="$work/$(basename "$model" | tr '.' '_')"
  "$tusk" compile "$model" -o "$out" --name m
  "$tusk" compile "$model" -o "$out.again" --name m
  diff -r "$out" "$out.again" > /dev/null || { echo "$model: two runs differ"; exit 1; }
  sources="$out/m.cpp $out/m_weights.cpp $out/m_self_test.cpp $out/m_self_test_main.cpp"
  run() {
    # shellcheck disable=SC2086  # lists of words
    "$@" $sources -o "$out/self_test" || { echo "$model: does not build with $*"; exit 1; }
    "$out/self_test" > "$out/log" 2>&1 || { cat "$out/log"; echo "$model: self-test fails with $*"; exit 1; }
  }
  # shellcheck disable=SC2086
  run g++ -O3 $strict
  if command -v clang++ > /dev/null; then
    # shellcheck disable=SC2086
    run clang++ -O0 $clang_strict
  fi
  if grep -qw avx2 /proc/cpuinfo; then
    # shellcheck disable=SC2086
    run g++ -O3 -mavx2 -mfma $strict
  fi
  # shellcheck disable=SC2086
  g++ -O2 $strict -c "$out/m.cpp" -o "$out/m.o"
  open=$(nm -u "$out/m.o" | awk '{print $NF}' | grep -vE '^(memcpy|memset|memmove|memcmp|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|_ZN1m7weightsEv)$' || true)
  [ -z "$open" ] || { echo "$model: undefined symbols: $open"; exit 1; }
  models=$((models + 1))
done
echo "$models models, each the same bits in every build"
