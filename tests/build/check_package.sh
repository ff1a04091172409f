#!/usr/bin/env bash
# check_package.sh <prefix> <source folder> <build folder>
# The installed CMake files hold no compile option and no path of this machine.
set -euo pipefail
prefix=$1
package=$prefix/share/cmake/maestro
for file in maestroConfig.cmake maestroConfigVersion.cmake maestroTargets.cmake MaestroBlas.cmake \
    MaestroTokenizers.cmake MaestroCuda.cmake; do
  [ -f "$package/$file" ] || { echo "not installed: $file"; exit 1; }
done
[ -f "$prefix/share/pkgconfig/maestro.pc" ] || { echo "not installed: maestro.pc"; exit 1; }
for header in core/version.hpp cuda.hpp cuda/core/stream_executor.cuh; do
  [ -f "$prefix/include/maestro/$header" ] || { echo "headers are not installed: $header"; exit 1; }
done
if grep -nE -- '-O[0-9sg]|-O(fast)\b|-march|-mtune|[" ;]-W[a-z]|-ffast|-fopenmp|COMPILE_OPTIONS|COMPILE_DEFINITIONS' "$package"/*; then
  echo "compile options are exported"
  exit 1
fi
if grep -nF -e "$2" -e "$3" -e "$prefix" "$package"/* || grep -nE '"/(usr|home|opt|tmp|root)/' "$package"/*; then
  echo "paths of this machine are exported"
  exit 1
fi
