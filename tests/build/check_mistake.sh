#!/usr/bin/env bash
# check_mistake.sh <source> <mistake> <regex> <compiler and flags>
# With the macro <mistake> the source must give one error that matches the regex, in few lines with all that the
# compiler writes around it. With the mistake NONE it must compile.
set -euo pipefail
source=$1 mistake=$2 message=$3
shift 3
max_lines=15
if [ "$mistake" = NONE ]; then exec "$@" -fsyntax-only "$source"; fi
if ! grep -q "defined($mistake)" "$source"; then
  echo "$source knows no mistake $mistake"
  exit 1
fi
if errors=$("$@" "-D$mistake" -fsyntax-only "$source" 2>&1); then
  echo "$source compiles with $mistake, and must not"
  exit 1
fi
complain() { echo "$1, for $mistake in $source:"; echo "$errors"; exit 1; }
grep -Eq -- "error: .*$message" <<<"$errors" || complain "The error does not say '$message'"
[ "$(grep -c ' error: ' <<<"$errors")" = 1 ] || complain "There is not one error"
# Which headers lead to it depends on how the headers are included, not on the mistake.
[ "$(grep -Evc '^(In file included| +) ?from ' <<<"$errors")" -le $max_lines ] || complain "There are more than $max_lines lines"
