#!/usr/bin/env bash
# page_code.sh <page> <source>: writes the page's blocks of C++, in order, as one source that names the page's lines.
set -euo pipefail
awk -v page="$1" '
  inside && /^```$/ { inside = 0; next }
  inside { print; next }
  /^```cpp$/ { inside = 1; print "#line " FNR + 1 " \"" page "\"" }' "$1" >"$2"
