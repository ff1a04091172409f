#!/usr/bin/env bash
# The main job: sets up, builds, and trains the small base of the families of contexts: on a few demonstrations, then by
# reinforcement with equal weights, with MAESTRO's Conductor and with weights anchored by a judge that sees one group in
# twenty (same start, steps, prompts, responses and seed). Held-out judges score all of them on held-out prompts, and
# one table is printed. About 5 minutes on 2 cores.
#   examples/run.sh [--output DIR] [--seed N] [--steps N]
set -euo pipefail
cd "$(dirname "$0")/.."

output=runs/demo
seed=1
steps=240
while [ $# -gt 0 ]; do
  case "$1" in
    --output | --seed | --steps)
      [ $# -ge 2 ] || { echo "examples/run.sh: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"
      shift 2 ;;
    --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) echo "examples/run.sh: '$1' is unknown; see --help" >&2; exit 2 ;;
  esac
done
if [ -e "$output" ]; then
  echo "examples/run.sh: $output is there already; remove it, or name another folder with --output" >&2
  exit 2
fi

source cmake/packages.sh
start=$SECONDS
install_packages $packages_build

build=${BUILD_DIR:-build/examples}
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMAESTRO_BUILD_TESTS=OFF -DMAESTRO_USE_CUDA=OFF \
  -DMAESTRO_TRAIN_ADAPTERS=OFF >/dev/null
cmake --build "$build" --target train contexts
echo "Set up and built in $((SECONDS - start)) s"
programs=$build/examples
base=examples/models/contexts
mkdir -p "$output/sft"

echo "Supervised training on 14 demonstrations, two of each family"
"$programs/contexts" --write supervised --model "$base" --demonstrations 14 --batch 14 --learning-rate 1e-3 --steps 150 \
  --seed "$seed" --output "$output/sft/model" >"$output/sft.log"
"$programs/contexts" --write prompts --split train --count 588 --seed "$seed" --output "$output/prompts.jsonl"

# The settings of bench/learning.sh, the same for all: chosen on the dev split; the table is of the held-out split.
common=(--model "$output/sft/model" --prompts "$output/prompts.jsonl" --seed "$seed" --steps "$steps"
  --prompts-per-step 28 --num-generations 8 --max-completion-length 48 --learning-rate 7e-4 --warmup-steps 20
  --lr-scheduler-type linear --beta 0.05 --reward-model "" --resume never --threads 1)
cheap=brevity,confidence,elaboration,chrf,liking,format

# Three runs on one thread each, at once.
run() {
  local name=$1
  shift
  "$programs/train" "${common[@]}" "$@" --output "$output/$name" >"$output/$name.log" 2>&1
}
echo "Reinforcement from there on six cheap rewards: equal weights, MAESTRO, anchored ($output/*.log tell how far)"
run equal --rewards "$cheap" --conductor equal & jobs=($!)
run maestro --rewards "$cheap" --conductor linear --conductor-learning-rate 3e-3 & jobs+=($!)
run anchored --rewards "$cheap,paid_judge" --conductor anchored --anchor judge --anchor-reward paid_judge \
  --anchor-share 0.05 & jobs+=($!)
for job in "${jobs[@]}"; do
  wait "$job" || { echo "examples/run.sh: a run has failed:" >&2; tail -n 3 "$output"/*.log >&2; exit 1; }
done

"$programs/contexts" --write table --run "base=$base" --run "SFT=$output/sft/model" \
  --run "SFT + equal weights=$output/equal/model" --run "SFT + MAESTRO=$output/maestro/model" \
  --run "SFT + anchored=$output/anchored/model" --output "$output/samples.md" | tee "$output/table.md"
echo
echo "Done in $((SECONDS - start)) s. Under $output: table.md, samples.md, and per run metrics.jsonl, samples.jsonl,"
echo "report.html, checkpoints/ and model/. Try one:"
echo "  $programs/train --help"
