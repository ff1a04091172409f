#!/usr/bin/env bash
# The README's programs are those of the examples: the first, whole; the device's, a part.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shown <n>: the n-th block of C++ in the README.
shown() {
  awk -v wanted="$1" '/^```cpp$/ { inside = 1; ++block; next } /^```$/ { inside = 0 } inside && block == wanted' README.md
}
diff <(shown 1) examples/readme.cpp || { echo "README.md and examples/readme.cpp differ"; exit 1; }
part=$(shown 2)
if [ -z "$part" ] || [[ "$(cat examples/cuda/device_step.cu)" != *"$part"* ]]; then
  echo "README.md's device program is not a part of examples/cuda/device_step.cu"
  exit 1
fi
