#!/usr/bin/env bash
# The benchmarks: sets up, builds, measures maestro beside PyTorch, transformers and TRL on this machine, and prints one
# table.
#   bench/run.sh [--quick] [--only NAME]... [--title TEXT] [--no-peers] [--repetitions N]
#     [--threads N] [--output DIR]
# --help says more; bench/README.md says what each work is and how to read the table.
#   MAESTRO_PEERS_VENV=folder   a Python environment that has the packages of bench/requirements.txt, instead of
#                               build/bench/venv, which is made (with a download of some gigabytes) where it is missing.
#                               pip reads its own variables (PIP_INDEX_URL, PIP_FIND_LINKS, ...): an index of CPU wheels
#                               makes the download small.
#   BUILD_DIR=folder            builds there instead of build/bench
set -euo pipefail
cd "$(dirname "$0")/.."
source cmake/packages.sh

peers=yes
for argument in "$@"; do
  case "$argument" in
    --no-peers) peers=no ;;
    --help | -h)
      sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"
      python3 bench/driver.py --build none --help
      exit 0 ;;
  esac
done

build=${BUILD_DIR:-build/bench}
install_packages $packages_build $packages_bench
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMAESTRO_BUILD_BENCH=ON -DMAESTRO_BUILD_TESTS=OFF \
  -DMAESTRO_BUILD_EXAMPLES=OFF >/dev/null
cmake --build "$build" --target bench_work bench_limits

python=
if [ "$peers" = yes ]; then
  venv=${MAESTRO_PEERS_VENV:-$build/venv}
  done_mark=$venv/requirements.txt
  if [ -z "${MAESTRO_PEERS_VENV:-}" ] && ! cmp -s bench/requirements.txt "$done_mark"; then
    echo "Installing the peers into $venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
    cp bench/requirements.txt "$done_mark"
  fi
  python=$venv/bin/python
fi
exec python3 bench/driver.py --build "$build" --python "$python" "$@"
