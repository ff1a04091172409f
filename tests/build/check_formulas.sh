#!/usr/bin/env bash
# The table of formulas in the documentation against the headers: every `file:name` is defined there, and every header
# of these rooms that cites a source is in the table.
set -euo pipefail
cd "$(dirname "$0")/../.."
page=${1:-examples/documentation/formulas.md}
rooms=(core model policy objective optimizer reward conductor scalarization trainer)
status=0
complain() { echo "$1"; status=1; }

mapfile -t places < <(sed -nE 's/^\|[^|]*\| `([a-z0-9_/]+\.hpp:[A-Za-z0-9_]+)` \|.*/\1/p' "$page")
[ ${#places[@]} -gt 0 ] || complain "$page has no places of the form \`file:name\`"
rows=$(grep -cE '^\| ' "$page")
headings=$(grep -c '^| formula |' "$page")
[ $((rows - headings)) -eq ${#places[@]} ] ||
  complain "$page: $((rows - headings)) rows, of which only ${#places[@]} name a place as \`file:name\`"
for place in "${places[@]}"; do
  file=include/maestro/${place%%:*} name=${place##*:}
  if [ ! -f "$file" ]; then complain "$page names $file, which is not there"; continue; fi
  # A definition: a type, or a type's name and then `name(`, which is no return of a call.
  [ "$(sed -E 's#//.*##; /^ *(return|throw) /d' "$file" |
    grep -cE "(struct|class|enum class|concept) $name\b|^ *(\[\[[^]]*\]\] *)?([A-Za-z_:<>,0-9&*]+ )+[&*]?$name\(")" -gt 0 ] ||
    complain "$page names $name, which $file does not define"
done
for room in "${rooms[@]}"; do
  while read -r file; do
    file=${file#include/maestro/}
    [[ " ${places[*]}" == *" $file:"* ]] || complain "$file cites a source, and is not in $page"
  done < <(grep -rlE '// .*Source:' "include/maestro/$room" | sort)
done
exit $status
