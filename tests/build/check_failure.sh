#!/usr/bin/env bash
# check_failure.sh <source> <regex> <compiler and flags>
# The source must not compile, and the errors must match the regex: the user is told what is missing. The same source
# with -DMAESTRO_CORRECT must compile, so that it is refused for the stated reason only.
set -euo pipefail
source=$1 message=$2
shift 2
if errors=$("$@" -fsyntax-only "$source" 2>&1); then
  echo "$source compiles, and must not"
  exit 1
fi
if ! grep -Eq -- "$message" <<<"$errors"; then
  echo "The errors of $source do not say '$message':"
  echo "$errors"
  exit 1
fi
correct=()
for flag in "$@"; do [ "$flag" = -ffast-math ] || [ "$flag" = -std=c++17 ] || correct+=("$flag"); done
"${correct[@]}" -DMAESTRO_CORRECT -fsyntax-only "$source"
