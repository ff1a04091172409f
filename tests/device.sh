#!/usr/bin/env bash
# What only a GPU can show, in one command for a machine that is there for minutes and has little installed.
#   tests/device.sh prepare
#     here, with a network: installs what is missing, collects the headers that such a machine lacks into
#     build/device-needs (ignored by git, under 40 MB), and checks that everything compiles with these alone
#   tests/device.sh run [PART]... [--dry] [--output DIR] [--limit [PART=]SECONDS]...
#     there, in a copy of the tree with build/device-needs (without it the installed packages are read): under 8
#     minutes. It needs nvcc, a C++ compiler, CMake and Python; no network, root, home folder or git. PyTorch and
#     compute-sanitizer are used where they are. A part that overruns its limit is cut, and the rest goes on. --dry
#     compiles all and runs what needs no device. DIR (runs/device) gets summary.txt, summary.json, log.txt, tests.xml,
#     bench.json and bench.md. Exits with 1 where something failed or was cut, with 77 where there is no device.
# Parts: build, example, tests, actions, identity, memcheck, racecheck, bench; and torch, only where it is named: the
# extension of examples/torch for the PyTorch that is there, and its tests on CUDA tensors.
#   BUILD_DIR=folder     builds there instead of build/device
#   BUILD_JOBS=N         compiles N files at once
#   CUDAARCHS=90-real    compiles for this instead of the device that is here
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; }

case "${1:-}" in
  prepare)
    [ $# -eq 1 ] || { usage >&2; exit 2; }
    source tests/device/prepare.sh
    prepare ;;
  run)
    shift
    exec python3 -B tests/device/run.py "$@" ;;
  --help | -h) usage ;;
  *) usage >&2; exit 2 ;;
esac
