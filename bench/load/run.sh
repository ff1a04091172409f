#!/usr/bin/env bash
# Seconds and memory of loading a checkpoint of SmolLM2-135M's shape, in F32 and in BF16, beside safetensors and
# transformers: bench/load/run.sh [repetitions, default 5]
#   MAESTRO_PEERS_VENV=folder   a Python environment with the packages of bench/requirements.txt (default: the one that
#                               bench/run.sh makes)
#   BUILD_DIR=folder            builds there instead of build/bench
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD_DIR:-build/bench}
python=${MAESTRO_PEERS_VENV:-build/bench/venv}/bin/python
[ -x "$python" ] || { echo "no $python: set MAESTRO_PEERS_VENV, or run bench/run.sh once" >&2; exit 1; }
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMAESTRO_BUILD_BENCH=ON -DMAESTRO_BUILD_TESTS=OFF \
  -DMAESTRO_BUILD_EXAMPLES=OFF >/dev/null
cmake --build "$build" --target bench_load >/dev/null
checkpoints=$build/load
trap 'rm -rf "$checkpoints"' EXIT
mkdir -p "$checkpoints"
for type in f32 bf16; do "$build/bench/load/bench_load" make 135m "$type" "$checkpoints/$type"; done
export OMP_NUM_THREADS=2 HF_HUB_OFFLINE=1
"$python" bench/load/compare.py "$build/bench/load/bench_load" "$python" "$checkpoints" "${1:-5}"
