#!/usr/bin/env bash
# Learning curves' ends: trains and measures arms on the seven families of contexts, and prints one table. Resumable:
# every (arm, seed) leaves a JSON file in the output folder, and what is there is not run again.
#   bench/learning.sh --headroom            base, SFT, equal, best global weights, oracle, judge, RL after SFT
#   bench/learning.sh --arms equal,maestro --seeds 1,2,3
#     [--output DIR] [--steps N] [--threads N] [--list]
#   BUILD_DIR=folder   builds there instead of build/learning
set -euo pipefail
cd "$(dirname "$0")/.."
case " $* " in
  *" --help "* | *" -h "* | *" --list "*) exec python3 bench/learning/run.py "$@" ;;
esac
source cmake/packages.sh
install_packages $packages_build python3
build=${BUILD_DIR:-build/learning}
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMAESTRO_USE_CUDA=OFF -DMAESTRO_BUILD_TESTS=OFF >/dev/null
cmake --build "$build" --target train contexts
exec python3 bench/learning/run.py --build "$build/examples" "$@"
