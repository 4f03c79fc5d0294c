#!/bin/sh
# Runs a program of examples/ and compares what it prints with a file.
#
#     check_example.sh PROGRAM EXPECTED WORK [DATA]
#
# DATA is a file or a folder, the program's argument; where it is not there, the script ends with 77, which ctest counts
# as skipped. Times are left out, and what a bar shows before it is full. With TUSK_UPDATE=1 EXPECTED is written.
set -eu
program=$1
expected=$2
work=$3

if [ $# -gt 3 ] && [ ! -e "$4" ]; then
  echo "skipped: no $4"
  exit 77
fi
mkdir -p "$work"
cd "$work"
shift 3
"$program" "$@" > printed.txt
sed -E 's/\x08//g; s/.*\r//; s/\x1b\[[0-9;]*m//g; s/[0-9]+(us|ms|s)\/step/T\/step/; s/[0-9]+s (- )?T\/step/T \1T\/step/' printed.txt > masked.txt
[ "${TUSK_UPDATE:-0}" = 0 ] || cp masked.txt "$expected"
diff "$expected" masked.txt
