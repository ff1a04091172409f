#!/usr/bin/env bash
# Sets up, builds and passes all tests.
set -euo pipefail
cd "$(dirname "$0")/.."
sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
packages="g++ cmake ninja-build ccache pkg-config libeigen3-dev libboost-test-dev nlohmann-json3-dev libcxxopts-dev libopenblas-openmp-dev"
missing=; for p in $packages; do dpkg -s "$p" >/dev/null 2>&1 || missing="$missing $p"; done
if [ -n "$missing" ]; then
  echo "Installing:$missing"
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq $missing >/dev/null
fi
cmake -S . -B build/release -G Ninja -DCMAKE_BUILD_TYPE=Release
cmake --build build/release
ctest --test-dir build/release --output-on-failure | tee build/ctest.log || true
awk '/tests passed,/ { failed = $4; total = $NF; print total - failed " passed, " failed " failed"; exit failed > 0 }' build/ctest.log
