#!/usr/bin/env bash
# The README's program is examples/readme.cpp, line by line.
set -euo pipefail
cd "$(dirname "$0")/../.."
shown=$(awk '/^```cpp$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md)
diff <(printf '%s\n' "$shown") examples/readme.cpp || { echo "README.md and examples/readme.cpp differ"; exit 1; }
