#!/usr/bin/env bash
# check_umbrella.sh <umbrella header> <headers>: the umbrella includes every one of them.
set -euo pipefail
umbrella=$1
shift
status=0
for header in "$@"; do
  grep -qF "#include \"maestro/$header\"" "$umbrella" || { echo "$umbrella does not include maestro/$header"; status=1; }
done
exit $status
