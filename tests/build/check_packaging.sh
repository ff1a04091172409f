#!/usr/bin/env bash
# check_packaging.sh <source folder>: vcpkg.json, conanfile.py and CITATION.cff have the version of core/version.hpp, the
# port sets options that exist, and where there is Python both recipes can be read.
set -euo pipefail
cd "$1"
version=$(awk '/#define MAESTRO_VERSION_/ { printf "%s%s", dot, $3; dot = "." }' include/maestro/core/version.hpp)
packaging=cmake/packaging
status=0
holds() {
  grep -qxF -- "$2" "$1" || { echo "$1 does not have the line '$2'; the version is $version"; status=1; }
}
holds $packaging/vcpkg/vcpkg.json "  \"version-semver\": \"$version\","
holds $packaging/conan/conanfile.py "    version = \"$version\""
holds CITATION.cff "version: $version"
for option in $(grep -oE 'DMAESTRO_[A-Z_]+' $packaging/vcpkg/portfile.cmake | cut -c2-); do
  grep -q "^option($option " CMakeLists.txt || { echo "the vcpkg port sets $option, which is no option"; status=1; }
done
if command -v python3 >/dev/null; then
  python3 -c "import ast, json, sys; ast.parse(open(sys.argv[1]).read()); json.load(open(sys.argv[2]))" \
    $packaging/conan/conanfile.py $packaging/vcpkg/vcpkg.json || status=1
fi
exit $status
