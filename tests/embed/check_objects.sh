#!/bin/sh
# Builds objects (--backend mlir) for a machine, links them into programs of C++ and C, and runs them there.
#
#     check_objects.sh MACHINE TUSK WORK
#
# MACHINE is `host`, or aarch64, riscv64, cortex_m7, cortex_m4 or wasm, which are emulated. Without the plug-in or the
# machine's tools the script ends with 77, which ctest counts as skipped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
machine=$1
tusk=$(realpath "$2")
work=$(realpath -m "$3")

fail() { echo "FAIL  $*"; exit 1; }
ok() { echo "ok    $*"; }
skip() { echo "skipped: $*"; exit 77; }
in_cpu() { grep -qw "$1" /proc/cpuinfo; }
quiet() { "$@" > "$work/log" 2>&1 || { tail -n 60 "$work/log"; fail "$*"; }; }

rm -rf "$work"
mkdir -p "$work"

# What builds and runs programs there, and what the object may leave open beside memcpy and memset.
targets=$machine nm=nm open= link= run= start=
case $machine in
  host)
    cc=gcc cxx=g++ targets=generic
    if [ "$(uname -m)" = x86_64 ] && in_cpu avx2; then targets="$targets haswell"; fi
    if [ "$(uname -m)" = x86_64 ] && in_cpu avx512bw; then targets="$targets znver4"; fi
    ;;
  aarch64 | riscv64)
    cc=$machine-linux-gnu-gcc cxx=$machine-linux-gnu-g++ nm=$machine-linux-gnu-nm link=-static run=qemu-$machine
    [ "$machine" = riscv64 ] || targets=armv8-a
    ;;
  cortex_m7 | cortex_m4)
    if [ "$machine" = cortex_m7 ]; then
      flags="-mcpu=cortex-m7 -mfpu=fpv5-sp-d16" targets=cortex-m7 board="mps2-an500 -cpu cortex-m7"
    else
      flags="-mcpu=cortex-m4 -mfpu=fpv4-sp-d16" targets=cortex-m4 board="mps2-an386 -cpu cortex-m4"
    fi
    flags="$flags -mthumb -mfloat-abi=hard"
    cc="arm-none-eabi-gcc $flags" cxx="arm-none-eabi-g++ $flags" nm=arm-none-eabi-nm run=qemu-system-arm
    start=$work/start.o link="--specs=rdimon.specs -Wl,--section-start=.vectors=0 $start"
    ;;
  wasm)
    cc="clang --target=wasm32-wasi" cxx="clang++ --target=wasm32-wasi" run=node
    nm=$(command -v llvm-nm-22 || true) open="__stack_pointer __linear_memory __indirect_function_table"
    ;;
  *) fail "there is no machine $machine" ;;
esac
for tool in ${cc%% *} ${cxx%% *} ${nm:-llvm-nm-22} $run; do
  command -v "$tool" > /dev/null || skip "no $tool"
done
# shellcheck disable=SC2086
if ! printf '#include <cstdio>\n' | $cxx -x c++ -c - -o "$work/probe.o" 2> "$work/log"; then skip "no C++ library for $machine"; fi
"$tusk" compile "$root/tests/parity/goldens/dense.keras" -o "$work/probe" --backend mlir > "$work/log" 2>&1 || {
  grep -q mlir-missing "$work/log" || { cat "$work/log"; fail "dense.keras does not compile"; }
  skip "no MLIR back end"
}
# shellcheck disable=SC2086
[ -z "$start" ] || quiet $cc -O1 -c "$here/cortex_m_start.c" -o "$start"

# there PROGRAM [FILE]: runs a program on the machine
there() {
  case $machine in
    host) "$@" ;;
    wasm) node --no-warnings "$here/run_wasi.mjs" "$@" ;;
    cortex_*)
      program=$1 file=${2:+,arg=$2}
      # shellcheck disable=SC2086
      timeout 120 qemu-system-arm -M $board -nographic -monitor none -serial none \
        -semihosting-config "enable=on,target=native,arg=program$file" -kernel "$program"
      ;;
    *) "$run" "$@" ;;
  esac
}

# The object is code and constants alone, and leaves nothing open that every C library does not have.
check_object() {
  strange=$($nm -u "$out/$name.o" | awk '{print $NF}' | grep -vxE 'memcpy|memset' || true)
  for symbol in $strange; do
    case " $open " in *" $symbol "*) ;; *) fail "$built: open symbol $symbol" ;; esac
  done
  if [ "$machine" = wasm ]; then  # whose nm knows no constants
    strange=$("${nm%nm-22}readobj-22" -S "$out/$name.o" | grep -E 'Name: [.](data|bss|tdata|tbss|init_array|ctors)' || true)
    [ -z "$strange" ] || fail "$built: data that are written, or constructors: $strange"
    return 0
  fi
  strange=$($nm "$out/$name.o" | awk '$2 ~ /^[bBdDgGsScC]$/ || $NF ~ /^_ZGV/ {print $2 ":" $NF}')
  [ -z "$strange" ] || fail "$built: writable symbols: $strange"
  strange=$(readelf -SW "$out/$name.o" | sed 's/^ *\[ *[0-9]*\]//' |
    awk '$1 ~ /^\./ && $7 ~ /W/ && $5 !~ /^0+$/ {print $1} $1 ~ /^\.(init|fini|ctors|dtors|tdata|tbss)/ {print $1}')
  [ -z "$strange" ] || fail "$built: sections that are written or run: $strange"
}

# object MODEL NAME OPTION...: compiles twice, in two folders; runs the self-test
object() {
  model=$root/$1 name=$2
  shift 2
  built="$name for $target${1:+ $1 ...}"
  out=$work/$target/$name
  rm -rf "$out" "$work/other folder"
  quiet "$tusk" compile "$model" -o "$out" --name "$name" --backend mlir --target "$target" "$@"
  mkdir "$work/other folder"
  (cd "$work/other folder" && quiet "$tusk" compile "$model" -o . --name "$name" --backend mlir --target "$target" "$@")
  cmp "$out/$name.o" "$work/other folder/$name.o" || fail "$built: other bytes in another folder"
  check_object
  # shellcheck disable=SC2086
  quiet $cxx -std=c++17 -O1 -Wall -Wextra -Werror -fno-exceptions -fno-rtti "-I$out" "$out/${name}_self_test.cpp" \
    "$out/${name}_self_test_main.cpp" "$out/$name.o" $link -o "$out/self_test"
  weights=
  [ ! -e "$out/$name.weights" ] || weights=$out/$name.weights
  # shellcheck disable=SC2086
  there "$out/self_test" ${weights:+"$weights"} > "$out/printed.txt" 2>&1 || { cat "$out/printed.txt"; fail "$built: the self-test"; }
  grep -q 'the self test passed' "$out/printed.txt" || { cat "$out/printed.txt"; fail "$built: the self-test"; }
  ok "$built: the recorded bits; the same object again; no data; open:$($nm -u "$out/$name.o" | awk '{printf " %s", $NF}')"
}

# c_program NAME: objects_NAME.c prints what it prints when the model is C++ on this machine.
c_program() {
  name=$1
  # shellcheck disable=SC2086
  quiet $cc -std=c99 -O1 -Wall -Wextra -pedantic -Werror "-I$out" "$here/objects_$name.c" "$out/$name.o" $link -o "$out/c_program"
  there "$out/c_program" > "$out/printed.txt" 2>&1 || { cat "$out/printed.txt"; fail "$name for $target by C"; }
  diff "$work/cpp/$name.txt" "$out/printed.txt" || fail "$name for $target by C: not what C++ on this machine prints"
  ok "$name for $target by C99: $(wc -l < "$out/printed.txt") lines of the bits that C++ on this machine prints"
}

# reference MODEL NAME OPTION...: what the program in C prints with C++ on this machine
reference() {
  model=$root/$1 name=$2
  shift 2
  out=$work/cpp/$name
  quiet "$tusk" compile "$model" -o "$out" --name "$name" "$@"
  quiet gcc -std=c99 -O1 "-I$out" -c "$here/objects_$name.c" -o "$out/c_program.o"
  for source in "$out/$name.cpp" "$out/${name}_weights.cpp"; do
    quiet g++ -std=c++17 -O1 -fno-exceptions -fno-rtti -c "$source" -o "${source%.cpp}.o"
  done
  quiet gcc "$out/c_program.o" "$out/$name.o" "$out/${name}_weights.o" -o "$out/c_program"
  "$out/c_program" > "$work/cpp/$name.txt" || { cat "$work/cpp/$name.txt"; fail "$name by C++"; }
}

digits=examples/digits/digits.keras
goldens=tests/parity/goldens
train="examples/train_on_device/small_digits.keras small_digits --dim batch=1..20
  --functions predict,train_step,evaluate,metrics,reset_metrics --optimizer adam --learning-rate 0.01
  --loss sparse_categorical_crossentropy --metrics accuracy"
reference $digits digits
# shellcheck disable=SC2086
reference $train
for target in $targets; do
  object $digits digits
  c_program digits
  object $digits digits_of_file --weights file
  # shellcheck disable=SC2086
  object $train
  c_program small_digits
  object $goldens/attention.keras attention
  object $goldens/reversible_embedding.keras embedding
  object $goldens/open_size.keras open_size --dim batch=1..2 --dim height=2..8:2 --dim width=1..8
done

# What a Cortex-M has no instructions for.
if [ "${machine#cortex}" != "$machine" ]; then
  "${tusk%/*}/tusk-opt" "$root/tests/lit/mlir/wide.tusk" --target "$targets" --emit asm > "$work/wide.s"
  ! grep -q 'bl.*__aeabi' "$work/wide.s" || fail "wide.tusk for $targets calls $(grep 'bl.*__aeabi' "$work/wide.s")"
  # shellcheck disable=SC2086
  quiet $cc -std=c99 -O1 -Wall -Wextra -Werror "$here/objects_wide.c" "$work/wide.s" $link -o "$work/wide"
  there "$work/wide" > "$work/log" 2>&1 || { cat "$work/log"; fail "conversions of int64"; }
  ok "conversions of int64 for $targets: $(cat "$work/log")"
fi

# A program that was written for C++ takes the object as it is.
if [ "$machine" = host ]; then
  quiet cmake -S "$root/examples/digits" -B "$work/classify" -G Ninja -DCMAKE_BUILD_TYPE=Release "-DMODEL=$work/generic/digits"
  quiet cmake --build "$work/classify"
  quiet "$work/classify/classify" "$root/examples/digits/test_digits.bin"
  ok "examples/digits/classify.cpp by add_subdirectory: $(grep accuracy "$work/log")"
fi
