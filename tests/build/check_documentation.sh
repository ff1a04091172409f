#!/usr/bin/env bash
# check_documentation.sh <doxygen> <Doxyfile>
# The documentation is built without a warning. Skipped where Doxygen is not installed.
set -euo pipefail
doxygen=$1 doxyfile=$2
if ! command -v "$doxygen" >/dev/null; then
  echo "Skipped: no doxygen here (Debian: apt-get install doxygen)"
  exit 77
fi
"$doxygen" "$doxyfile" || { echo "Doxygen has warnings: see above"; exit 1; }
folder=$(sed -nE 's/^OUTPUT_DIRECTORY *= *"(.*)"$/\1/p' "$doxyfile")
[ -s "$folder/html/index.html" ] || { echo "No $folder/html/index.html was written"; exit 1; }
echo "$(find "$folder/html" -name '*.html' | wc -l) pages"
