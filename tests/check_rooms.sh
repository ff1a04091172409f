#!/usr/bin/env bash
# Holds the includes between the rooms of include/maestro against the table tests/rooms.txt: check_rooms.sh [folder]
# The umbrella headers beside the rooms may include every room. Prints each include that the table does not allow, each
# edge of the table that no header has, and each room that stands in the table after one that includes it.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-include/maestro}
grep -rHoE '^ *# *include *"maestro/[a-z_]+/' "$folder"/*/ |
  sed -E "s#^$folder/([a-z_]+)/([^:]*):.*maestro/([a-z_]+)/#\1 \3 \1/\2#" | sort -u |
  awk '
    FILENAME != "-" {
      if ($0 ~ /^#/ || NF == 0) next
      known[$1] = 1
      for (i = 2; i <= NF; ++i) {
        if (!($i in known)) complain("tests/rooms.txt: " $1 " may include " $i ", which stands below it")
        allowed[$1 " " $i] = 1
      }
      next
    }
    $1 == $2 { next }
    !($1 in known) { complain($3 ": the room " $1 " is not in tests/rooms.txt"); next }
    !(($1 " " $2) in allowed) { complain($3 " includes a header of " $2 ", which tests/rooms.txt does not allow"); next }
    { used[$1 " " $2] = 1 }
    function complain(text) { print text; bad = 1 }
    END {
      for (edge in allowed) if (!(edge in used)) complain("tests/rooms.txt: no header needs the edge " edge)
      exit bad
    }' tests/rooms.txt -
