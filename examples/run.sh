#!/usr/bin/env bash
# The main job: sets up, builds, trains the shipped base model once with MAESTRO's Conductor and once with equal
# weights (same steps, prompts, tokens and seed), evaluates both and the base on held-out prompts, prints one table.
#   examples/run.sh [--output DIR] [--seed N] [--steps N]
set -euo pipefail
cd "$(dirname "$0")/.."

output=runs/demo
seed=1
steps=100
while [ $# -gt 0 ]; do
  case "$1" in
    --output) output=$2; shift 2 ;;
    --seed) seed=$2; shift 2 ;;
    --steps) steps=$2; shift 2 ;;
    *) echo "examples/run.sh: '$1' is unknown; it takes --output DIR, --seed N, --steps N" >&2; exit 2 ;;
  esac
done

source cmake/packages.sh
start=$SECONDS
install_packages $packages_build

build=${BUILD_DIR:-build/examples}
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMAESTRO_BUILD_TESTS=OFF >/dev/null
cmake --build "$build" --target train evaluate generate
echo "built in $((SECONDS - start)) s"

# What the demo sets beside the library's defaults; the same for both runs.
common=(--model examples/models/base --reward-model examples/models/reward --seed "$seed" --steps "$steps"
  --prompts-per-step 12 --num-generations 8 --max-completion-length 160 --learning-rate 3e-4 --resume never)

rm -rf "$output"
"$build/examples/train" "${common[@]}" --conductor equal --output "$output/equal"
"$build/examples/train" "${common[@]}" --conductor maestro --output "$output/maestro"

"$build/examples/evaluate" --base examples/models/base --run equal="$output/equal" --run maestro="$output/maestro" \
  --samples "$output/samples.md" | tee "$output/table.md"
echo "done in $((SECONDS - start)) s; metrics, checkpoints, models and samples are under $output"
