#!/usr/bin/env bash
# check_link.sh <first source> <second source> <output> <compiler and flags> -- <libraries>
# Two units that include every header, in opposite orders, must link: what is not inline is defined twice.
set -euo pipefail
first=$1 second=$2 output=$3
shift 3
compile=()
while [ "$1" != -- ]; do compile+=("$1"); shift; done
shift
"${compile[@]}" -c "$first" -o "$output.first.o" &
first_job=$!
"${compile[@]}" -c "$second" -o "$output.second.o"
wait "$first_job"
"${compile[@]}" "$output.first.o" "$output.second.o" -o "$output" "$@"
"$output"
