#!/usr/bin/env bash
# check_nvcc.sh <source> <include folder> <host compiler>: nvcc reads the neutral headers as device code.
set -euo pipefail
if ! command -v nvcc >/dev/null; then
  echo "Skipped: no nvcc on PATH"
  exit 77
fi
# 554: a conversion function whose constraint already excludes the case. Relaxed constexpr: host loops hand lambdas,
# constexpr without saying so, to formulas that are marked for both sides.
exec nvcc -std=c++20 -x cu -ccbin "$3" -Werror all-warnings -diag-suppress 554 --expt-relaxed-constexpr -I"$2" \
  -c "$1" -o "$1.o"
