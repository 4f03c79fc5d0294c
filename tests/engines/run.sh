#!/usr/bin/env bash
# The engine matrix: emitted cases, built by each compiler with each set of flags, against the loop interpreter's bits.
#
#     run.sh EMIT_CASES WORK ci|full
#
# TUSK_CASES: how many random graphs, and kernels, and half as many formulas of truths, beside the samples of
# all ops (ci: 200, full: 2000); where the code is scheduled for a machine (profile fma@haswell), contractions too.
# TUSK_ENGINES: a regular expression; only engines whose name has a match are run.
#
# TUSK_PASSED: a folder with fma/ and muladd/, the sources of a run that every engine has passed; only cases that are
# not among them are run, and the report says which sum of sources that run had.
#
# A profile fma@haswell+mlir takes the objects of the MLIR back end, which the engine's compiler links with their
# self-tests; fma@haswell+mlir+models those of the models in tests/parity/goldens and $TUSK_SHARED/{goldens,models}.
#
# full builds under profile muladd only the cases whose code is not the same under fma, and writes what each engine
# gave into report.md beside this script.
set -euo pipefail
emit=$1
work=$2
size=$3
jobs=$(nproc)
here=$(cd "$(dirname "$0")" && pwd)
shared=${TUSK_SHARED:-$here/../../../shared}
rm -rf "$work"
mkdir -p "$work"

strict="-std=c++17 -Wall -Wextra -Wconversion -Werror -fno-exceptions -fno-rtti"
failed=0
skipped=()
plugin=$(dirname "$emit")/../libtusk_mlir.so

has_flag() { grep -qw "$1" /proc/cpuinfo; }
wanted() { [[ $1 =~ ${TUSK_ENGINES:-.} ]]; }

# cases PROFILE: emits them once
cases() {
  [[ ! -d $work/$1 ]] || return 0
  local flags=(--profile "$1" --graphs "$count" --kernels "$count" --masks $((count / 2)) --seed "${TUSK_SEED:-1}")
  [[ $1 != *@* ]] || flags+=(--contractions "$count")
  if [[ $1 == *+models ]]; then
    local folder
    flags=(--profile "${1%+models}")
    for folder in "$here/../parity/goldens" "$shared/goldens" "$shared/models"; do
      [[ ! -d $folder ]] || flags+=(--models "$folder")
    done
  fi
  [[ $1 != muladd* ]] || flags+=(--besides "$(sed 's/^muladd/fma/; s/+models$//' <<< "$1")")
  "$emit" "$work/$1.all" "${flags[@]}" | tee "$work/$1.count"
  sum_of "$work/$1.all" > "$work/$1.sum"
  if [[ -n ${TUSK_PASSED:-} ]]; then
    "$emit" "$work/$1" "${flags[@]}" --unlike "$TUSK_PASSED/$1" | tee "$work/$1.run"
    sed -i "1s|.*|$(cut -d ' ' -f 1 "$work/$1.run") run, $(cut -d ' ' -f 1 "$work/$1.count") in all (the others as in $(sum_of "$TUSK_PASSED/$1"))|" \
      "$work/$1.count"
  else
    mv "$work/$1.all" "$work/$1"
    sed -i '1s/ .*//' "$work/$1.count"
  fi
}

sum_of() { (cd "$1" && cat *.cpp *.hpp *.h $(ls | grep "[.]o$") | sha256sum | cut -c 1-12); }

# report NAME PROFILE RESULT SECONDS COMPILER: a line of report.md, instead of the engine's former one. The sum is of
# all sources of the profile: equal sums, equal programs.
report() {
  local file=$here/report.md
  [[ -f $file ]] || cat > "$file" <<'END'
# The engine matrix, engine by engine

Written by `tests/engines/run.sh` (`./dev test --full`): every sample of every op with its gradient, random graphs,
random kernels and random formulas of truths, each with two calls, compared bit for bit with the loop interpreter. The
sum is over all emitted sources. Behind `@` stands the machine that the code is scheduled for (none: plain loops); those
engines have random contractions too, for that machine with caches of some bytes.

| engine | result | cases | sum of sources | s | compiler | CPU | commit |
| --- | --- | --- | --- | --- | --- | --- | --- |
END
  local cpu commit sum
  cpu=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
  commit=$(git -C "$here" rev-parse --short=8 HEAD)
  git -C "$here" diff --quiet HEAD -- ':(top,exclude)tests/engines/report.md' || commit+=-dirty
  sum=$(cat "$work/$2.sum")
  { sed "/^| $1 |/d" "$file"
    echo "| $1 | $3 | $(cat "$work/$2.count") | $sum | $4 | $($5 --version | head -n 1) | ${cpu:-$(uname -m)} | $commit |"
  } > "$work/report.md"
  mv "$work/report.md" "$file"
}

# build_all CASES OUT COMPILER FLAGS...: a program OUT/all_N of each batch; RUNNER, if set, runs it. Prints what fails.
build_all() {
  local batches=$1 out=$2
  # shellcheck disable=SC2016
  printf '%s\n' "$batches"/all_*.cpp | xargs -P "$jobs" -n 1 sh -c '
    out=$0; runner=$1; compiler=$2; flags=$3; batch=$4
    program=$out/$(basename "$batch" .cpp)
    $compiler $flags "$batch" $(sed "s|^|${batch%/*}/|" "${batch%.cpp}.objects") -o "$program" 2> "$out.err.$$" || { echo "$batch does not build"; head -20 "$out.err.$$"; exit 1; }
    rm -f "$out.err.$$"
    [ "$runner" = none ] && exit 0
    $runner "$program" > "$program.log" 2>&1 || { echo "$batch fails"; cat "$program.log"; exit 1; }
  ' "$out" "$runner" "$3" "$strict ${*:4}" 2>&1 || true
}

# engine NAME PROFILE RUNNER COMPILER FLAGS...: RUNNER is a command before the program, "" for none, or avx512
engine() {
  local name=$2_$1 profile=$2 runner=$3
  wanted "$name" || return 0
  shift 3
  local out=$work/bin_$name log=$work/$name.log start=$SECONDS
  cases "$profile"
  mkdir -p "$out"
  if [[ $runner == avx512 ]]; then
    runner=none build_all "$work/$profile" "$out" "$@" -static > "$log"
    [[ -s $log ]] || AVX512_CACHE=$work.bochs "$here/run_avx512.sh" -t 7200 "$out" > "$log.run" 2>&1 || cat "$log.run" > "$log"
  else
    runner=$runner build_all "$work/$profile" "$out" "$@" > "$log"
  fi
  if [[ -s $log ]]; then
    echo "FAILED  $name"
    head -60 "$log" | sed 's/^/    /'
    failed=1
  else
    echo "ok      $name ($((SECONDS - start)) s)"
  fi
  [[ $size == ci ]] || report "$name" "$profile" "$([[ -s $log ]] && echo FAILED || echo ok)" $((SECONDS - start)) "$1"
  rm -rf "$out"
}

x86=$([[ $(uname -m) == x86_64 ]] && echo yes || echo no)
avx2="-mavx2 -mfma"
avx512="-mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma"

# shellcheck disable=SC2086
if [[ $size == ci ]]; then
  count=${TUSK_CASES:-200}
  engine gcc_O3_scalar fma "" g++ -O3
  engine clang_O0_scalar fma "" clang++ -O0
  if [[ $x86 == yes ]] && has_flag avx2; then
    engine gcc_O3_avx2 fma "" g++ -O3 $avx2
    engine gcc_O3_avx2 fma@haswell "" g++ -O3 $avx2
  else
    skipped+=(avx2)
  fi
else
  count=${TUSK_CASES:-2000}
  # Objects of the MLIR back end; the compiler builds what calls them.
  for profile in fma muladd; do
    for target in haswell znver4 skylake-avx512 armv8-a; do
      for cases in mlir mlir+models; do
        if [[ ! -e $plugin ]]; then
          skipped+=("$profile@$target+$cases")
        elif [[ $target == armv8-a ]]; then
          engine mlir $profile@$target+$cases qemu-aarch64 aarch64-linux-gnu-g++ -O1 -static
        elif [[ $target == haswell ]] && has_flag avx2; then
          engine mlir $profile@$target+$cases "" g++ -O1
        elif has_flag avx512f; then
          engine mlir $profile@$target+$cases "" g++ -O1
        else
          skipped+=("$profile@$target+$cases")
        fi
      done
    done
  done
  for profile in fma muladd; do
    for compiler in gcc clang; do
      command=$([[ $compiler == gcc ]] && echo g++ || echo clang++)
      for level in O0 O3; do
        engine ${compiler}_${level}_scalar $profile "" $command -$level
        if [[ $x86 == yes ]] && has_flag avx2; then
          engine ${compiler}_${level}_avx2 $profile "" $command -$level $avx2
        else
          skipped+=("${profile}_${compiler}_${level}_avx2")
        fi
        # Emulated where the machine has none.
        if [[ $x86 == yes ]] && { has_flag avx512f || command -v apt-get > /dev/null; }; then
          engine ${compiler}_${level}_avx512 $profile "$(has_flag avx512f || echo avx512)" $command -$level $avx512
        else
          skipped+=("${profile}_${compiler}_${level}_avx512")
        fi
      done
    done
    for level in O0 O3; do
      if command -v aarch64-linux-gnu-g++ > /dev/null && command -v qemu-aarch64 > /dev/null; then
        engine gcc_${level}_aarch64 $profile qemu-aarch64 aarch64-linux-gnu-g++ -$level -static
        engine clang_${level}_aarch64 $profile qemu-aarch64 "clang++ --target=aarch64-linux-gnu" -$level -static
      else
        skipped+=("${profile}_gcc_${level}_aarch64" "${profile}_clang_${level}_aarch64")
      fi
    done
  done
  for profile in fma muladd; do
    for compiler in gcc clang; do
      command=$([[ $compiler == gcc ]] && echo g++ || echo clang++)
      if [[ $x86 == yes ]] && has_flag avx2; then
        engine ${compiler}_O3 $profile@haswell "" $command -O3 -march=haswell
      else
        skipped+=("$profile@haswell_${compiler}_O3")
      fi
      for target in znver4 skylake-avx512; do
        if [[ $x86 == yes ]] && { has_flag avx512f || command -v apt-get > /dev/null; }; then
          engine ${compiler}_O3 $profile@$target "$(has_flag avx512f || echo avx512)" $command -O3 $avx512
        else
          skipped+=("$profile@${target}_${compiler}_O3")
        fi
      done
    done
    if command -v aarch64-linux-gnu-g++ > /dev/null && command -v qemu-aarch64 > /dev/null; then
      engine gcc_O3 $profile@armv8-a qemu-aarch64 aarch64-linux-gnu-g++ -O3 -static
    else
      skipped+=("$profile@armv8-a_gcc_O3")
    fi
  done
fi
echo "${#skipped[@]} engines skipped${skipped[*]:+: ${skipped[*]}}"
exit $failed
