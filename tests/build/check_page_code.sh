#!/usr/bin/env bash
# check_page_code.sh <page> <folder for what is made> <compiler and flags> [-- libraries]
# The blocks of C++ of a page, in order, are one source: it must compile. Where they have a main, the program is linked,
# and must run in an empty folder and return 0.
set -euo pipefail
page=$1 folder=$2
shift 2
compile=() libraries=() seen=
for argument in "$@"; do
  if [ "$argument" = -- ]; then seen=1; elif [ "$seen" ]; then libraries+=("$argument"); else compile+=("$argument"); fi
done
mkdir -p "$folder"
name=$(basename "$page" .md)
source=$folder/$name.cpp
"$(dirname "$0")/page_code.sh" "$page" "$source"
if ! grep -q '^int main' "$source"; then
  exec "${compile[@]}" -fsyntax-only "$source"
fi
# Apart from the linking, so that a compiler cache may answer.
"${compile[@]}" -c "$source" -o "$folder/$name.o"
"${compile[@]}" "$folder/$name.o" -o "$folder/$name" "${libraries[@]}"
rm -rf "$folder/$name.run"
mkdir "$folder/$name.run"
cd "$folder/$name.run"
MAESTRO_NUM_THREADS=2 "$folder/$name"
