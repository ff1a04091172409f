#!/usr/bin/env bash
# Builds the extension into a folder of its own and runs its tests: examples/torch/test.sh [FOLDER]
# MAESTRO_TORCH_PYTHON names a Python that has the packages of bench/requirements.txt; python3 unless given. Where they
# are missing it says so and exits with 77, which ctest counts as skipped. It needs no network.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/build}
python=${MAESTRO_TORCH_PYTHON:-python3}

if ! missing=$("$python" -c 'import datasets, peft, setuptools, torch, transformers, trl' 2>&1); then
  echo "Skipped: $python lacks packages of bench/requirements.txt (${missing##*$'\n'}); MAESTRO_TORCH_PYTHON names another"
  exit 77
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
(cd "$here" && "$python" setup.py --quiet build --build-base "$folder/work" --build-lib "$folder/lib")
cd "$here"
PYTHONPATH=$folder/lib PYTHONDONTWRITEBYTECODE=1 "$python" -m unittest -v test_trl test_cuda

# The policy over libtorch, where there is a CMake.
if command -v cmake >/dev/null && command -v ninja >/dev/null; then
  prefix=$("$python" -c 'import torch; print(torch.utils.cmake_prefix_path)')
  cmake -S policy -B "$folder/policy" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$prefix" >"$folder/policy.log" ||
    { cat "$folder/policy.log"; exit 1; }
  cmake --build "$folder/policy"
  ctest --test-dir "$folder/policy" --output-on-failure
fi
