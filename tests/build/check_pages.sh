#!/usr/bin/env bash
# The pages of examples/documentation: each is linked from the first one, no link leads nowhere, every type that is named
# exists, and the groups of the reference are the rooms of tests/rooms.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=examples/documentation
status=0
complain() { echo "$1"; status=1; }
# Prose without its blocks of code, and the code alone.
prose() { awk '/^```/ { inside = !inside; next } !inside' "$1"; }
code() { awk '/^```/ { inside = !inside; next } inside' "$1"; }

known=$(grep -rhoE '\b[A-Z][A-Za-z0-9]+\b' include/maestro | sort -u)
for page in "$folder"/*.md; do
  name=$(basename "$page")
  [ "$name" = README.md ] || [[ "$(<"$folder/README.md")" == *"]($name)"* ]] ||
    complain "$page is not linked from $folder/README.md"
  while read -r link; do
    [ -e "$folder/${link%%#*}" ] || complain "$page links to $link, which is not there"
  done < <(prose "$page" | grep -oE '\]\([^)]+\)' | sed -E 's/^..(.*)\)$/\1/' | grep -vE '^https?:' || true)
  # Words in backticks that are written as types are: two letters at least, not all capitals.
  while read -r word; do
    complain "$page names $word, which is neither in include/maestro nor in the code of the page"
  done < <(prose "$page" | grep -oE '`[^`]+`' | grep -oE '\b[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*\b' | sort -u |
    comm -23 - <({ echo "$known"; code "$page" | grep -oE '\b[A-Z][A-Za-z0-9]+\b'; } | sort -u))
done

diff <(sed -nE 's/^([a-z]+) *.*/\1/p' tests/rooms.txt | sort) \
  <(sed -nE 's#^/// @defgroup ([a-z]+) .*#\1#p' cmake/documentation/groups.dox | sort) ||
  complain "cmake/documentation/groups.dox (right) has other groups than tests/rooms.txt (left) has rooms"
exit $status
