#!/usr/bin/env bash
# check_mpi.sh <mpirun> <program>
# Jobs of several processes: collectives, a failure of one rank that ends all, an abort.
set -uo pipefail
mpirun=$1 program=$2
flags=(--oversubscribe)
[ "$(id -u)" = 0 ] && flags+=(--allow-run-as-root)
"$mpirun" --version 2>/dev/null | grep -qE 'Open MPI|OpenRTE' || flags=()

# Debian's Open MPI starts nothing where there is no ssh, even on one machine; an empty agent is none.
command -v ssh >/dev/null || export OMPI_MCA_plm_rsh_agent=
# Some containers let MPI start nothing at all.
if ! why=$(timeout 60 "$mpirun" "${flags[@]}" -n 2 true 2>&1); then
  echo "Skipped: $mpirun starts no processes here: $why"
  exit 77
fi

# job <ranks> <expected exit: 0 or not> <text that the output must have> <argument>
job() {
  local output code=0
  output=$(timeout 60 "$mpirun" "${flags[@]}" -n "$1" "$program" "$4" 2>&1) || code=$?
  if [ "$code" = 124 ] || { [ "$2" = 0 ] && [ "$code" != 0 ]; } || { [ "$2" != 0 ] && [ "$code" = 0 ]; } ||
    [[ $output != *"$3"* ]]; then
    echo "$1 ranks, $4: exit code $code, expected $2 and '$3' in:"
    echo "$output"
    exit 1
  fi
}
job 1 0 "1 ranks agree" collectives
job 2 0 "2 ranks agree" collectives
job 3 0 "3 ranks agree" collectives
job 3 1 "rank 0: rank 2 of 3 failed: the data is bad" fails
job 2 1 "" throws
