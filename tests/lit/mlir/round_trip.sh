# round_trip.sh TUSK_OPT FOLDER: each text of the folder through mlir-opt, twice, and lowered to the dialect of LLVM.
set -e
tusk_opt=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
for text in "$2"/*.tusk; do
  command=$(sed -n 's/^# RUN: %tusk-opt %s \(.*--emit mlir \)| FileCheck %s$/\1/p' "$text")
  [ -n "$command" ] || continue
  "$tusk_opt" "$text" $command > "$work/a.mlir"
  mlir-opt-22 "$work/a.mlir" -o "$work/b.mlir"
  mlir-opt-22 "$work/b.mlir" -o "$work/c.mlir"
  cmp "$work/b.mlir" "$work/c.mlir"
  mlir-opt-22 "$work/a.mlir" --convert-scf-to-cf --convert-to-llvm --reconcile-unrealized-casts -o "$work/d.mlir"
  mlir-translate-22 --mlir-to-llvmir "$work/d.mlir" -o "$work/d.ll"
  count=$((count + 1))
done
[ "$count" -ge 13 ]
