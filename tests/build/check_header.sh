#!/usr/bin/env bash
# check_header.sh <neutral|host|http|cuda_neutral|cuda_toolkit|cuda_thrust> <source> <object> -- <compiler and flags>
# The source includes one header two times. It must compile, and stay clear of headers that its kind may not pull in:
# cuda_* are those under cuda/, of which the last two may read the toolkit's C headers and, the last, Thrust's.
set -euo pipefail
kind=$1 source=$2 object=$3
shift 4
"$@" -MD -MF "$object.d" -MT "$object" -fsyntax-only "$source"

forbidden='/(iostream|regex)$|/mpi\.h$'
# cpp-httplib and Thrust read these two.
if [ "$kind" = http ] || [ "$kind" = cuda_thrust ]; then forbidden='/mpi\.h$'; fi
if [ "$kind" != cuda_thrust ]; then forbidden="$forbidden"'|/(thrust|cub|cccl)/|/cuda/std/'; fi
if [ "$kind" != cuda_toolkit ] && [ "$kind" != cuda_thrust ]; then
  forbidden="$forbidden"'|/cuda/|/cuda_[^/]*\.h$|/cublas[^/]*\.h$'
fi
if [ "$kind" != host ] && [ "$kind" != http ] && [ "$kind" != cuda_thrust ]; then
  forbidden="$forbidden"'|/(random|filesystem)$|/Eigen/|/nlohmann/|/cblas[^/]*\.h$'
fi
# What was read, but the source itself.
read_files=$(tr -s ' \\' '\n' <"$object.d" | grep -vxF -e "$source" -e "$object:" || true)
# A name in a folder of maestro is ours, whatever it is called.
found=$(grep -v '/include/maestro/' <<<"$read_files" | grep -E "$forbidden" || true)
case $kind in
  cuda_*) ;;
  *) found+=$(grep -E '/include/maestro/cuda[/.]' <<<"$read_files" || true) ;;
esac
if [ -n "$found" ]; then
  echo "$source ($kind) pulls in what it must not:"
  echo "$found"
  exit 1
fi
