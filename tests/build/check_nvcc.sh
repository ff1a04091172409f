#!/usr/bin/env bash
# check_nvcc.sh <source> <include folder> <host compiler>: nvcc reads the neutral headers as device code.
set -euo pipefail
if ! command -v nvcc >/dev/null; then
  echo "Skipped: no nvcc on PATH"
  exit 77
fi
# 554: nvcc warns of a conversion function whose constraint already excludes the case.
exec nvcc -std=c++20 -x cu -ccbin "$3" -Werror all-warnings -diag-suppress 554 -I"$2" -c "$1" -o "$1.o"
