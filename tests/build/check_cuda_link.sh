#!/usr/bin/env bash
# check_cuda_link.sh <unit.cu's object> <unit.cpp> <other order.cpp> <compiler and flags> -- <libraries>
# A unit of nvcc's and one of the host compiler's, each with every header of cuda/, must link: what is not inline is
# defined twice. The CPU library is in the latter, and may come first or last.
set -euo pipefail
device=$1 host=$2 reversed=$3
shift 3
compile=()
while [ "$1" != -- ]; do compile+=("$1"); shift; done
shift
if [ ! -f "$device" ]; then
  echo "Skipped: no nvcc here"
  exit 77
fi
"${compile[@]}" -fsyntax-only "$reversed" &
reversed_job=$!
"${compile[@]}" -c "$host" -o "$host.o"
wait "$reversed_job"
"${compile[@]}" "$host.o" "$device" -o "$host.program" "$@"
"$host.program"
