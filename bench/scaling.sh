#!/usr/bin/env bash
# How a training step's time and memory grow with prompt length, response length, group size, vocabulary, number of
# rewards and model size: builds, measures one factor at a time, writes a CSV file and a PNG for each. About 3 minutes
# on 2 cores; leave the machine alone meanwhile.
#   bench/scaling.sh [--output DIR]     DIR: runs/scaling
#   PYTHON=...                          a Python that has matplotlib; without one, .venv is made and matplotlib put there
#   BUILD_DIR=folder                    builds there instead of build/bench
set -euo pipefail
cd "$(dirname "$0")/.."

output=runs/scaling
while [ $# -gt 0 ]; do
  case "$1" in
    --output)
      [ $# -ge 2 ] || { echo "bench/scaling.sh: $1 needs a value" >&2; exit 2; }
      output=$2
      shift 2 ;;
    --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) echo "bench/scaling.sh: '$1' is unknown; see --help" >&2; exit 2 ;;
  esac
done

source cmake/packages.sh
install_packages $packages_build $packages_bench
build=${BUILD_DIR:-build/bench}
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMAESTRO_BUILD_TESTS=OFF -DMAESTRO_BUILD_EXAMPLES=OFF \
  -DMAESTRO_BUILD_BENCH=ON >/dev/null
cmake --build "$build" --target scaling

python=${PYTHON:-python3}
if ! "$python" -c 'import matplotlib' 2>/dev/null; then
  if [ ! -x .venv/bin/python ]; then
    install_packages python3-venv
    "$python" -m venv .venv
  fi
  python=.venv/bin/python
  "$python" -c 'import matplotlib' 2>/dev/null ||
    "$python" -m pip install --quiet "$(grep -i '^matplotlib' bench/requirements.txt)"
fi

"$build/bench/scaling/scaling" "$output"
"$python" bench/scaling/plot.py "$output"
