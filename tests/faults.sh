#!/usr/bin/env bash
# tests/faults.sh [trials] [seed]: runs of `train` whose calls on files go wrong (survival/preload/io_faults.cpp), each then
# gone on with to the end and compared with an undisturbed run. Prints how often each fault was met. A trial takes about a
# second. Build first: cmake --preset release && cmake --build build/release --target test_survival
set -euo pipefail
cd "$(dirname "$0")/.."
program=${MAESTRO_TEST_SURVIVAL:-build/release/tests/test_survival}
[ -x "$program" ] || { echo "$program is missing: build the target test_survival first"; exit 2; }
MAESTRO_NUM_THREADS=1 MAESTRO_FAULT_TRIALS=${1:-400} MAESTRO_FAULT_SEED=${2:-1} "$program" --run_test=faults
