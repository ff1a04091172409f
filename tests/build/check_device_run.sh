#!/usr/bin/env bash
# The logic of tests/device.sh, by commands that need neither a device nor a compiler.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v python3 >/dev/null; then
  echo "Skipped: no python3 here"
  exit 77
fi
exec python3 -B tests/device/check_run.py
