#!/usr/bin/env bash
# check_header.sh <neutral|host> <source> <object> -- <compiler and flags>
# The source includes one header two times. It must compile, and stay clear of headers that its kind may not pull in.
set -euo pipefail
kind=$1 source=$2 object=$3
shift 4
"$@" -MD -MF "$object.d" -c "$source" -o "$object"

forbidden='/(iostream|regex)$|/(thrust|cub|cuda)/|/cuda_runtime[^/]*$|/mpi\.h$'
if [ "$kind" = neutral ]; then
  forbidden="$forbidden"'|/(random|filesystem)$|/Eigen/|/nlohmann/|cblas[^/]*\.h$'
fi
# A name in a folder of maestro is ours, whatever it is called.
found=$(tr -s ' \\' '\n' <"$object.d" | grep -v '/include/maestro/' | grep -E "$forbidden" || true)
if [ -n "$found" ]; then
  echo "$source ($kind) pulls in what it must not:"
  echo "$found"
  exit 1
fi
