#!/bin/sh
# Holds what Tusk promises about emitted code against the compilers and tools of this machine.
#
#     check_emitted.sh CHECK TUSK WORK MODEL...
#
# CHECK is one of the functions below that stand under a row of dashes. Each prints what it verified. A part without its
# tool is printed as skipped; if nothing else is left, the script ends with 77, which ctest counts as skipped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
check=$1
tusk=$2
work=$3
shift 3

strict="-std=c++17 -Wall -Wextra -Wconversion -Werror -fno-exceptions -fno-rtti"
strict_c="-Wall -Wextra -pedantic -Werror"
passed=0
skipped=0

fail() { echo "FAIL  $*"; exit 1; }
ok() { echo "ok    $*"; passed=$((passed + 1)); }
skip() { echo "skip  $*"; skipped=$((skipped + 1)); }
has() { command -v "$1" > /dev/null; }
in_cpu() { grep -qw "$1" /proc/cpuinfo; }

# quiet WHAT COMMAND...: fails with its output and WHAT if the command does
quiet() {
  what=$1
  shift
  "$@" > "$work/log" 2>&1 || { head -n 60 "$work/log"; fail "$what: $*"; }
}

# emit MODEL OPTION...: compiles it into a folder of its own; sets out, name, sources (for a compiler)
emit() {
  model=$1
  shift
  out=$work/$(basename "$model" | tr . _)
  rm -rf "$out"
  quiet "$model" "$tusk" compile "$model" -o "$out" "$@"
  name=$(sed -n 's/^  "identifier": "\(.*\)",$/\1/p' "$out/manifest.json")
  sources=$(find "$out" -name '*.cpp' ! -name '*_main.cpp' | sort)
}

# sanitized FLAGS: those of the compilers here that can build and run a program with them; sets compilers
sanitized() {
  compilers=
  for compiler in g++ clang++; do
    if echo 'int main() {}' | $compiler -x c++ "$1" - -o "$work/probe" > "$work/log" 2>&1 && "$work/probe"; then
      compilers="$compilers $compiler"
    else
      skip "$1 by $compiler: not there, or without its libraries (Clang has them in libclang-rt-dev)"
    fi
  done
}

# other_weights: sets weights to what it is not; so each second model has its weights in a file
other_weights() { if [ "$weights" = embed ]; then weights="file"; else weights="embed"; fi; }

# fill TEMPLATE RESULT FOLDER...
fill() { quiet "$1" python3 "$here/recorded.py" "$here/$1" "$2" "$3" ${4:+"$4"}; }

# self_test COMPILER FLAG...: builds and runs the self test of the folder
self_test() {
  # shellcheck disable=SC2086
  quiet "$name does not build" nice "$@" $sources "$out/${name}_self_test_main.cpp" -o "$out/self_test"
  quiet "$name, $*" "$out/self_test"
  grep -q 'passed' "$work/log" || fail "$name, $*: the self test does not say that it passed"
}

# symbols LIST PREFIX WHAT: what all.o needs and brings; LIST is of what may stay open, PREFIX of the binary tools
symbols() {
  strange=$("$2nm" -u "$out/all.o" | awk '{print $NF}' | sort -u |
    awk 'FILENAME != "-" { sub(/ *#.*/, ""); known[$0]; next } !($0 in known)' "$1" -)
  [ -z "$strange" ] || fail "$3: open symbols that $(basename "$1") has not: $strange"
  # The name of the model is in all that is global: as a namespace, or in front.
  strange=$("$2nm" -g --defined-only "$out/all.o" | awk '{print $NF}' |
    grep -vE "^(_ZN(K)?${#name}${name}[0-9]|${name}_)" || true)
  [ -z "$strange" ] || fail "$3: global symbols without the name of the model: $strange"
  # Data that can be written or is initialised by code. (A weak function is an inline one of the header: its name has
  # passed above.)
  strange=$("$2nm" "$out/all.o" | awk '$2 ~ /^[bBdDgGsSuvVcC]$/ || $NF ~ /^_ZGV/ {print $2 ":" $NF}')
  [ -z "$strange" ] || fail "$3: writable or common symbols, or guards: $strange"
  strange=$("$2size" -A "$out/all.o" | grep -v '^\.data\.rel\.ro' |
    awk '$1 ~ /^\.(data|bss|tdata|tbss|init|fini|ctors|dtors)/ && $2 > 0 {print $1 ":" $2}')
  [ -z "$strange" ] || fail "$3: sections: $strange"
}

# build TARGET COMPILER PREFIX RUNNER FLAG...: compiles the folder, looks at its symbols, runs its self test
build() {
  list=$here/symbols/$1.txt compiler=$2 prefix=$3 runner=$4
  shift 4
  built="$name by $compiler $*"
  objects=
  for source in $sources "$out/${name}_self_test_main.cpp"; do
    # shellcheck disable=SC2086
    quiet "$built" nice "$compiler" $strict "$@" -c "$source" -o "${source%.cpp}.o"
    case $source in *_main.cpp) ;; *) objects="$objects ${source%.cpp}.o" ;; esac
  done
  # shellcheck disable=SC2086
  quiet "$built" "${prefix}ld" -r $objects -o "$out/all.o"
  needs=
  if [ -e "$list" ]; then
    symbols "$list" "$prefix" "$built"
    needs=$("${prefix}nm" -u "$out/all.o" | awk '{printf " %s", $NF} END {if (!NR) printf " none"}')
    needs=", no constructors, no writable data; open symbols:$needs"
  else
    skip "$built: symbols: no $(basename "$list")"
  fi
  bits=
  if [ "$runner" != none ]; then
    quiet "$built" "$compiler" ${prefix:+-static} "$out/all.o" "$out/${name}_self_test_main.o" -o "$out/self_test"
    # shellcheck disable=SC2086
    quiet "$built" $runner "$out/self_test" "$out/$name.weights"
    grep -q passed "$work/log" || fail "$built: the self test does not say that it passed"
    bits=", the recorded bits"
  fi
  ok "$built: no warnings$bits$needs"
}

# ---- builds: no warnings, nothing that the linker has to bring, no state, and the recorded bits
builds() {
  machine=$(uname -m)
  vectors=
  if in_cpu avx2; then vectors="-mavx2 -mfma"; fi
  weights="embed"
  for model in "$@"; do
    other_weights
    emit "$model" --weights $weights
    build "$machine-gcc" g++ "" "" -O0
    # shellcheck disable=SC2086
    build "$machine-gcc" g++ "" "" -O3 $vectors
    has clang++ || continue
    build "$machine-clang" clang++ "" "" -O0
    build "$machine-clang" clang++ "" "" -O3
  done
  has clang++ || skip "builds by Clang: no clang++"
}

# ---- aarch64: the same for ARM, by an emulator
aarch64() {
  has aarch64-linux-gnu-g++ || { skip "aarch64: no g++-aarch64-linux-gnu"; return 0; }
  runner=qemu-aarch64
  has $runner || { runner=none; skip "self tests on aarch64: no qemu-user"; }
  weights="embed"
  for model in "$@"; do
    other_weights
    emit "$model" --weights $weights
    build aarch64-gcc aarch64-linux-gnu-g++ aarch64-linux-gnu- "$runner" -O0
    build aarch64-gcc aarch64-linux-gnu-g++ aarch64-linux-gnu- "$runner" -O3
  done
}

# ---- more_builds: the same for more flags, and with TUSK_SCALAR, the code that compilers without vector types see
more_builds() {
  for model in "$@"; do
    emit "$model"
    for compiler in g++ clang++; do
      has $compiler || continue
      for flags in -O0 -Os "-O2 -DTUSK_SCALAR" "-O2 -msse4.1" "-O3 -march=native" "-O3 -ffp-contract=fast" \
        "-O2 -std=c++20 -Wpedantic -Wshadow"; do
        # shellcheck disable=SC2086
        self_test $compiler $strict $flags
      done
      # shellcheck disable=SC2086
      quiet "$name for AVX-512" nice $compiler $strict -O2 -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -c \
        "$out/$name.cpp" -o "$out/avx512.o"
      ok "$name: $compiler, seven sets of flags, the recorded bits; and it compiles for AVX-512"
    done
  done
  has clang++ || skip "builds by Clang: no clang++"
}

# ---- sanitizers: self tests, calls of any size, and calls that are refused, under ASan and UBSan
sanitizers() {
  sanitized -fsanitize=address,undefined
  for model in "$@"; do
    for weights in embed file; do
      emit "$model" --weights $weights
      fill calls_main.c.in "$out/calls_main.c" "$out"
      cat "$out/$name.inputs" "$out/$name.outputs" > "$out/$name.recorded"
      for compiler in $compilers; do
        sanitize="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
        c=gcc
        [ "$compiler" = g++ ] || c=clang
        for source in $sources "$out/${name}_self_test_main.cpp"; do
          # shellcheck disable=SC2086
          quiet "$name" nice $compiler -std=c++17 $sanitize -c "$source" -o "${source%.cpp}.o"
        done
        # shellcheck disable=SC2086
        quiet "$name" nice $c -std=c99 $sanitize -I"$out" -c "$out/calls_main.c" -o "$out/calls_main.o"
        objects=$(echo "$sources" | sed 's/cpp$/o/')
        # shellcheck disable=SC2086
        quiet "$name" $compiler $sanitize $objects "$out/${name}_self_test_main.o" -o "$out/self_test"
        # shellcheck disable=SC2086
        quiet "$name" $compiler $sanitize $objects "$out/calls_main.o" -o "$out/calls"
        quiet "$name, $compiler" "$out/self_test" "$out/$name.weights"
        quiet "$name, $compiler" "$out/calls" "$out/$name.recorded" "$out/$name.weights"
        ok "$name, --weights $weights, $compiler: self test and $(cat "$work/log"), clean under ASan and UBSan"
      done
    done
  done
}

# ---- threads: two models at once in four threads, under TSan; takes models in pairs
threads() {
  sanitized -fsanitize=thread
  while [ $# -ge 2 ]; do
    emit "$1"
    out_a=$out name_a=$name sources_a=$sources
    emit "$2"
    fill two_models_main.cpp.in "$work/two_models_main.cpp" "$out_a" "$out"
    cat "$work/$name_a.inputs" "$work/$name_a.outputs" > "$work/$name_a.recorded"
    cat "$work/$name.inputs" "$work/$name.outputs" > "$work/$name.recorded"
    for compiler in $compilers; do
      # shellcheck disable=SC2086
      quiet "two models" nice $compiler -std=c++17 -O1 -g -fsanitize=thread -Wall -Wextra -Werror -pthread -I"$out_a" \
        -I"$out" "$work/two_models_main.cpp" $sources_a $sources -o "$work/two_models"
      quiet "$name_a and $name" "$work/two_models" "$work/$name_a.recorded" "$work/$name.recorded"
      ok "$name_a and $name, $compiler: $(cat "$work/log") bits in four threads, clean under TSan"
    done
    shift 2
  done
}

# ---- headers: each compiles alone, without a warning, in every language that it is for
headers() {
  for model in "$@"; do
    for weights in embed file; do
      emit "$model" --weights $weights
      for compiler in gcc clang; do
        has $compiler || continue
        for standard in c99 c11 c17; do
          # shellcheck disable=SC2086
          quiet "$name.h" $compiler -x c -std=$standard $strict_c -Wstrict-prototypes -fsyntax-only \
            -include "$out/$name.h" /dev/null
        done
        for standard in c++17 c++20; do
          for header in "$name.h" "$name.hpp"; do
            # shellcheck disable=SC2086
            quiet "$header" $compiler -x c++ -std=$standard $strict_c -fsyntax-only -include "$out/$header" /dev/null
          done
        done
      done
    done
    ok "$name.h and $name.hpp compile alone: C99, C11, C17, C++17, C++20"
  done
}

# archive COMPILER BUILD-TYPE: libNAME.a, as the CMakeLists.txt of the folder makes it; sets library
archive() {
  generator="Unix Makefiles"
  if has ninja; then generator=Ninja; fi
  rm -rf "$out/build"
  quiet "$name" cmake -G "$generator" -S "$out" -B "$out/build" -DCMAKE_CXX_COMPILER="$1" -DCMAKE_BUILD_TYPE="$2"
  quiet "$name, $1, $2" nice cmake --build "$out/build" --target "$name"
  library=$out/build/lib$name.a
}

# run_caller WHAT PROGRAM: it has to print the recorded outputs, given the recorded inputs
run_caller() {
  "$2" < "$out/$name.inputs" > "$out/printed" || fail "$name: $1: $(cat "$out/printed")"
  cmp "$out/printed" "$out/$name.outputs" || fail "$name: $1 prints other bits than recorded"
  ok "$name: $1, linked without a C++ library, the recorded bits ($(wc -l < "$out/printed") floats)"
}

# ---- c: a caller in C99; calls of other sizes than recorded, and those that are refused
c() {
  for model in "$@"; do
    for weights in "file" "embed"; do
      emit "$model" --weights $weights
      archive g++ Release
      fill calls_main.c.in "$out/calls_main.c" "$out"
      # shellcheck disable=SC2086
      quiet "$name" gcc -std=c99 $strict_c -I"$out" "$out/calls_main.c" "$library" -o "$out/calls"
      cat "$out/$name.inputs" "$out/$name.outputs" > "$out/$name.recorded"
      quiet "$name, --weights $weights" "$out/calls" "$out/$name.recorded" "$out/$name.weights"
      ok "$name, --weights $weights: other batches, other sizes, refusals: $(cat "$work/log")"
    done
    fill c99_main.c.in "$out/c99_main.c" "$out"
    for compiler in gcc clang; do
      has $compiler || continue
      [ $compiler = gcc ] || archive clang++ Debug
      # shellcheck disable=SC2086
      quiet "$name, $compiler" $compiler -std=c99 $strict_c -I"$out" "$out/c99_main.c" "$library" -o "$out/c99"
      run_caller "a caller in C99 by $compiler" "$out/c99"
    done
  done
}

# ---- fortran: a caller in Fortran
fortran() {
  has gfortran || { skip "a caller in Fortran: no gfortran"; return 0; }
  for model in "$@"; do
    emit "$model"
    archive g++ Release
    fill fortran_main.f90.in "$out/fortran_main.f90" "$out"
    quiet "$name" gfortran -std=f2018 -Wall -Werror "$out/fortran_main.f90" "$library" -J "$out" -o "$out/fortran"
    run_caller "a caller in Fortran" "$out/fortran"
  done
}

# ---- format: clang-format with the .clang-format of the folder changes nothing
format() {
  has clang-format || { skip "format: no clang-format"; return 0; }
  for model in "$@"; do
    for weights in embed file; do
      emit "$model" --weights $weights
      for file in "$out"/*.h "$out"/*.hpp "$out"/*.cpp; do
        clang-format "$file" | diff -u "$file" - > "$work/log" || {
          head -n 60 "$work/log"
          fail "clang-format changes ${file#"$work"/}"
        }
      done
    done
    ok "$name: clang-format changes nothing"
  done
}

# ---- moved: the folder works wherever it lies, alone and inside another project
moved() {
  place="$work/a place (with spaces)"
  rm -rf "$place" "$work/build"
  mkdir -p "$place/project"
  {
    echo "cmake_minimum_required(VERSION 3.16)"
    echo "project(others LANGUAGES CXX)"
    echo "include(CTest)"
  } > "$place/project/CMakeLists.txt"
  number=0
  weights="file"
  for model in "$@"; do
    other_weights
    number=$((number + 1))
    emit "$model" --weights $weights
    grep -rIlF "$work" "$out" && fail "$name: the path of the folder is in these files"
    mv "$out" "$place/project/$number"
    echo "add_subdirectory($number)" >> "$place/project/CMakeLists.txt"
  done
  (
    cd /
    generator=
    has ninja && generator="-G Ninja"
    # shellcheck disable=SC2086
    quiet "alone" cmake $generator -S "$place/project/2" -B "$place/alone"
    quiet "alone" nice cmake --build "$place/alone"
    quiet "alone" ctest --test-dir "$place/alone" --no-tests=error
    grep -q '100% tests passed, 0 tests failed out of 1' "$work/log" || fail "alone: ctest does not run one test"
    # shellcheck disable=SC2086
    quiet "inside" cmake $generator -S "$place/project" -B "$work/build" -DCMAKE_BUILD_TYPE=Release
    quiet "inside" nice cmake --build "$work/build"
    quiet "inside" ctest --test-dir "$work/build" --no-tests=error
    grep -q "100% tests passed, 0 tests failed out of $number" "$work/log" ||
      fail "inside: ctest does not run $number tests"
  )
  ok "$number folders, moved to a path with spaces: one alone, all inside another project, from the root folder"
}

# ---- same_bytes: the output depends on the model and the options, and on nothing else
same_bytes() {
  locales="$work/locales"
  rm -rf "$locales"
  mkdir -p "$locales" "$work/else where"
  german=
  if has localedef && localedef -i de_DE -f UTF-8 "$locales/de_DE.UTF-8" > "$work/log" 2>&1; then german=de_DE.UTF-8; fi
  for model in "$@"; do
    emit "$model"
    cp "$model" "$work/else where"
    file=$(basename "$model")
    target="$work/else where/again"
    # again WHAT COMMAND...: the command writes into the target
    again() {
      what=$1
      shift
      rm -rf "$target"
      quiet "$what" "$@"
      diff -r "$out" "$target" > "$work/log" || { head -n 20 "$work/log"; fail "$file: $what: other bytes"; }
    }
    again "a second run" "$tusk" compile "$model" -o "$target"
    again "relative paths" sh -c 'cd "$1" && "$2" compile "$3" -o again' - "$work/else where" "$tusk" "$file"
    again "from the root folder" sh -c 'cd / && "$1" compile "$2" -o "$3"' - "$tusk" "$work/else where/$file" "$target"
    again "without an environment" env -i "$tusk" compile "$model" -o "$target"
    again "LC_ALL=C.UTF-8" env LC_ALL=C.UTF-8 "$tusk" compile "$model" -o "$target"
    if [ -n "$german" ]; then
      again "LC_ALL=$german" env LOCPATH="$locales" LC_ALL=$german TZ=Asia/Tokyo "$tusk" compile "$model" -o "$target"
    fi
    ok "$file: the same bytes from any folder, environment and locale"
  done
  [ -n "$german" ] || skip "a German locale: localedef cannot make it"
}

# ---- weights_file: the weights in a file are those that are embedded, and the self test takes that file and no other
weights_file() {
  for model in "$@"; do
    emit "$model"
    embedded=$out.embedded
    rm -rf "$embedded"
    mv "$out" "$embedded"
    emit "$model" --weights file
    [ ! -e "$out/${name}_weights.cpp" ] || fail "$name: --weights file also embeds them"
    # The words of the array, without its comments, are the bytes of the file behind its header.
    grep -v '//' "$embedded/${name}_weights.cpp" | grep -o '0x[0-9a-f]*' > "$work/embedded.words"
    tail -c +65 "$out/$name.weights" | od -An -v -t x4 --endian=little -w4 | sed 's/ /0x/' > "$work/file.words"
    cmp "$work/embedded.words" "$work/file.words" || fail "$name: the file has other weights than the source"
    # shellcheck disable=SC2086
    quiet "$name" nice g++ -O1 $strict $sources "$out/${name}_self_test_main.cpp" -o "$out/self_test"
    quiet "$name" "$out/self_test" "$out/$name.weights"
    quiet "$name, from its folder" sh -c 'cd "$1" && ./self_test' - "$out"
    refuse() {
      if "$out/self_test" "$work/other.weights" > "$work/log" 2>&1; then fail "$name: the self test takes $1"; fi
    }
    rm -f "$work/other.weights"
    refuse "a file that is not there"
    head -c -4 "$out/$name.weights" > "$work/other.weights"
    refuse "a file that is too short"
    { cat "$out/$name.weights"; printf x; } > "$work/other.weights"
    refuse "a file that is too long"
    ok "$name: the file holds the embedded weights ($(wc -l < "$work/file.words") words); others are refused"
  done
}

mkdir -p "$work"
case $check in
  builds | more_builds | aarch64 | headers | c | fortran | format | moved | same_bytes | weights_file | \
    sanitizers | threads) "$check" "$@" ;;
  *) fail "there is no check $check" ;;
esac
echo "$check: $passed passed, $skipped skipped"
[ "$passed" -gt 0 ] || { [ "$skipped" -gt 0 ] && exit 77; exit 1; }
