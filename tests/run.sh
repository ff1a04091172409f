#!/usr/bin/env bash
# Sets up, builds and passes all tests: tests/run.sh
# On Debian 12 or Ubuntu 24.04, as root or with sudo, it installs what is missing. Last line: N passed, N failed.
#   tests/run.sh --sanitizers   the rooms under AddressSanitizer and UndefinedBehaviorSanitizer (gcc), then under
#                               ThreadSanitizer where clang-14 is installed
#   BUILD_DIR=folder            builds there instead of build/<preset>
set -euo pipefail
cd "$(dirname "$0")/.."
source cmake/packages.sh
source cmake/architecture.sh
source tests/run_functions.sh

case "${1:-}" in
  "") presets=(test) ;;
  --sanitizers)
    presets=(asan-ubsan)
    if command -v clang++-14 >/dev/null; then
      presets+=(tsan)
    else
      echo "No clang-14: ThreadSanitizer is left out"
    fi ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

install_packages $packages_build $packages_tests $packages_docs
for preset in "${presets[@]}"; do run_preset "$preset"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
