#!/usr/bin/env bash
# Fuzzes every target of tests/fuzz with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer:
#   tests/fuzz.sh [seconds for each target, default 600] [target]...
# Needs clang-14 (Debian and Ubuntu: clang-14 with libclang-rt-14-dev). What it learns stays in build/fuzz/corpus; an
# input that fails is written to build/fuzz/failures and named, and the exit status is 1.
#   BUILD_DIR=folder   builds there instead of build/fuzz
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/run_functions.sh

seconds=${1:-600}
case $seconds in *[!0-9]*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 2 ;; esac
[ $# -eq 0 ] || shift
build=${BUILD_DIR:-build/fuzz}
cmake --preset fuzz -B "$build" >/dev/null
cmake --build "$build" --target fuzz_programs -j "$(job_count)"

status=0
for source in tests/fuzz/*_fuzz.cpp; do
  name=$(basename "$source" _fuzz.cpp)
  program=$build/tests/fuzz/fuzz_$name
  if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
  if [ ! -x "$program" ]; then
    echo "Skipped: $name was not built"
    continue
  fi
  mkdir -p "$build/corpus/$name" "$build/failures"
  echo "$name for $seconds seconds"
  "$program" -max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=2048 -use_value_profile=1 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="$build/failures/$name-" \
    "$build/corpus/$name" "tests/fuzz/seeds/$name" || { echo "$name failed"; status=1; }
done
exit $status
