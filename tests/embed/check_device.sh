#!/bin/sh
# Builds examples/train_on_device with an installed Tusk and runs it: it prints what expected.txt holds, to the last bit.
#
#     check_device.sh MACHINE CMAKE BUILD SOURCE WORK
#
# MACHINE is `host`, or `cortex_m7` or `cortex_m3`, emulated by QEMU: without its tools the script ends with 77, which
# ctest counts as skipped.
set -eu
machine=$1
cmake=$2
build=$3
source=$4
work=$5

fail() { echo "FAIL  $*"; exit 1; }
ok() { echo "ok    $*"; }
quiet() { "$@" > "$work/log" 2>&1 || { tail -n 60 "$work/log"; fail "$*"; }; }
# same WHAT FILE: what the program has printed
same() { diff "$source/expected.txt" "$2" || fail "$1 prints something else"; }

rm -rf "$work"
mkdir -p "$work"
if [ "$machine" != host ]; then
  for tool in arm-none-eabi-g++ qemu-system-arm; do
    command -v $tool > /dev/null || { echo "skipped: no $tool"; exit 77; }
  done
  echo '#include <cstdint>' > "$work/probe.cpp"
  arm-none-eabi-g++ -mcpu=cortex-m7 -mthumb -c "$work/probe.cpp" -o "$work/probe.o" 2> "$work/log" ||
    { echo "skipped: no C++ headers for ARM (libstdc++-arm-none-eabi-newlib)"; exit 77; }
fi
quiet "$cmake" --install "$build" --prefix "$work/prefix"

# configured FLAG...: the program, built
configured() {
  quiet "$cmake" -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=MinSizeRel "$@"
  quiet "$cmake" --build "$work/build"
}
# The whole program, whatever its libraries bring along.
no_heap() {
  found=$("$1" "$2" | grep -v ' w ' | grep -wE '_*(malloc|calloc|realloc|free|sbrk|_malloc_r|_sbrk|_Zn[wa]m?j?|_Zd[al]Pv.*|abort|__cxa_.*)' || true)
  [ -z "$found" ] || fail "$2 has parts of a heap or of exceptions: $found"
}

if [ "$machine" = host ]; then
  configured "-DCMAKE_PREFIX_PATH=$work/prefix"
  "$work/build/train_on_device" > "$work/printed.txt"
  same "the program" "$work/printed.txt"
  no_heap nm "$work/build/train_on_device"
  ok "the recorded bits; neither a heap nor exceptions among the symbols"

  # Whoever asks for memory ends.
  printf '#include <stddef.h>\nvoid* malloc(size_t n) { (void)n; __builtin_trap(); }\n%s\n%s\n%s\n' \
    'void* calloc(size_t n, size_t m) { (void)n; (void)m; __builtin_trap(); }' \
    'void* realloc(void* p, size_t n) { (void)p; (void)n; __builtin_trap(); }' \
    'void free(void* p) { (void)p; __builtin_trap(); }' > "$work/trap.c"
  flags="-std=c++17 -O1 -Wall -Wextra -Wconversion -Werror -fno-exceptions -fno-rtti"
  out=$work/build/small_digits.tusk
  sources="$source/main.cpp $source/board_host.cpp $(find "$out" -name '*.cpp' ! -name '*_main.cpp')"
  gcc -c "$work/trap.c" -o "$work/trap.o"
  # shellcheck disable=SC2086
  quiet gcc $flags "-I$out" $sources "$work/trap.o" -o "$work/trapped"
  "$work/trapped" > "$work/printed.txt"
  same "the program with a malloc that traps" "$work/printed.txt"
  ok "linked by gcc, without the library of C++, with an allocator that traps"
  if command -v clang++ > /dev/null; then
    # shellcheck disable=SC2086
    quiet clang++ $flags -nostdlib++ "-I$out" $sources "$work/trap.o" -o "$work/trapped"
    "$work/trapped" > "$work/printed.txt"
    same "the program by Clang" "$work/printed.txt"
    ok "linked by clang++ -nostdlib++, the same bits"
  fi
else
  configured "-DCMAKE_TOOLCHAIN_FILE=$source/$machine.cmake" "-Dtusk_DIR=$work/prefix/lib/cmake/tusk"
  no_heap arm-none-eabi-nm "$work/build/train_on_device"
  arm-none-eabi-size "$work/build/train_on_device" "$work"/build/libsmall_digits.a
  run=$(sed -n 's/^#   \(qemu-system-arm .*\) train_on_device$/\1/p' "$source/$machine.cmake")
  # shellcheck disable=SC2086
  timeout 300 $run "$work/build/train_on_device" 2> "$work/printed.txt" || { cat "$work/printed.txt"; fail "$run"; }
  same "the program on $machine" "$work/printed.txt"
  ok "on $machine, the bits of the host; no heap in the whole program"
fi
