#!/usr/bin/env bash
# check_link.sh <first source> <second source> <compiler and flags> -- <libraries>
# Two units that include every header, in opposite orders, must link: what is not inline is defined twice.
set -euo pipefail
first=$1 second=$2
shift 2
compile=()
while [ "$1" != -- ]; do compile+=("$1"); shift; done
shift
"${compile[@]}" -c "$first" -o "$first.o" &
first_job=$!
"${compile[@]}" -c "$second" -o "$second.o"
wait "$first_job"
"${compile[@]}" "$first.o" "$second.o" -o "$first.program" "$@"
"$first.program"
