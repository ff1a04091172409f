#!/usr/bin/env bash
# check_nvcc.sh <nvcc> <source> <object> <host compiler> <flags>: nvcc reads headers as device code. It needs no device,
# and none of the flags that would let device code call what is not marked for it.
set -euo pipefail
nvcc=$1 source=$2 object=$3 host=$4
shift 4
if ! command -v "$nvcc" >/dev/null; then
  echo "Skipped: no nvcc here"
  exit 77
fi
# 554: a conversion function whose constraint already excludes the case. The host compiler reads what nvcc writes, which
# puts parentheses around declarators and, for clang, writes designators in GNU's way.
exec "$nvcc" -std=c++20 -x cu -ccbin "$host" -Werror all-warnings -diag-suppress 554 \
  -Xcompiler -Wall,-Wextra,-Wno-parentheses,-Wno-gnu-designator,-Werror "$@" "$source" -o "$object"
