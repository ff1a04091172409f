#!/usr/bin/env bash
# The benchmarks on a device: sets up, builds, measures maestro beside PyTorch on this machine's CUDA device, and prints
# one table.
#   bench/cuda/run.sh [--quick] [--only NAME]... [--title TEXT] [--no-peers] [--repetitions N] [--seconds S]
#     [--max-seconds S] [--output DIR]
# --help says more; bench/README.md, "On a device", says what each work is and how to read the table. Needs nvcc. Where
# there is no device it builds everything, says so, and exits with 77.
#   CUDAARCHS=90-real           compiles for this instead of the device that is here, or, without one, of the project's
#                               own choice
#   MAESTRO_PEERS_VENV=folder   a Python environment with torch for CUDA and numpy, instead of build/bench-cuda/venv,
#                               which is made (with a download of some gigabytes) where it is missing
#   BUILD_DIR=folder            builds there instead of build/bench-cuda
#   BUILD_JOBS=N                compiles N files at once
set -euo pipefail
cd "$(dirname "$0")/../.."
source cmake/architecture.sh
source cmake/packages.sh

peers=yes host=no
for argument in "$@"; do
  case "$argument" in
    --no-peers) peers=no ;;
    --host) host=yes ;;
    --help | -h)
      sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"
      python3 bench/cuda/measure.py --build none --help
      exit 0 ;;
  esac
done

build=${BUILD_DIR:-build/bench-cuda}
install_packages $packages_build $packages_bench
architectures=${CUDAARCHS:-}
if [ -z "$architectures" ] && [ ! -f "$build/CMakeCache.txt" ]; then
  architectures=$(device_architecture || true)
fi
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMAESTRO_BUILD_BENCH=ON -DMAESTRO_BUILD_TESTS=OFF \
  -DMAESTRO_BUILD_EXAMPLES=OFF ${architectures:+"-DCMAKE_CUDA_ARCHITECTURES=$architectures"} >/dev/null
targets=$(cmake --build "$build" --target help)
if [[ $targets != *bench_cuda:* ]]; then
  echo "No CUDA compiler here: nvcc on the PATH, or CUDACXX, and the CUDA toolkit are needed." >&2
  exit 1
fi
cmake --build "$build" --target bench_cuda ${BUILD_JOBS:+-j "$BUILD_JOBS"}

if [ "$host" = no ]; then
  status=0
  reason=$("$build/bench/cuda/bench_cuda" --describe 2>&1 >/dev/null) || status=$?
  if [ "$status" = 77 ]; then
    echo "No device here (${reason#bench_cuda: }). Everything was built, nothing was measured."
    exit 77
  fi
fi

python=
if [ "$peers" = yes ]; then
  venv=${MAESTRO_PEERS_VENV:-$build/venv}
  wanted=$(grep -E '^(torch|numpy)==' bench/requirements.txt)
  if [ -z "${MAESTRO_PEERS_VENV:-}" ] && [ "$wanted" != "$(cat "$venv/requirements.txt" 2>/dev/null)" ]; then
    echo "Installing the peers into $venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $wanted
    echo "$wanted" >"$venv/requirements.txt"
  fi
  python=$venv/bin/python
fi
exec python3 bench/cuda/measure.py --build "$build" --python "$python" "$@"
