#!/usr/bin/env bash
# Download the packages of requirements.txt from PyPI into the folder wheels, once, for the Python of the base image.
#
# Usage: samples/nuclei/get-wheels.sh [BASE_IMAGE]      (default: $BASE_IMAGE, or python:3.12-slim)
#
# Needs pip: that of $PYTHON, of the project's .venv, or of python3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

BASE=${1:-${BASE_IMAGE:-python:3.12-slim}}
PYTHON=${PYTHON:-../../.venv/bin/python}
[[ -x $PYTHON ]] || PYTHON=python3

version=$(docker run --rm --network none --entrypoint python3 "$BASE" \
    -c 'import platform, sys; print(*sys.version_info[:2], sep=".", end=" "); print(platform.machine())')
made="$version $(cksum <requirements.txt)"
[[ $(cat wheels/made 2>/dev/null) != "$made" ]] || exit 0

echo "downloading wheels for Python $version"
rm -rf wheels
for libc in 2_28 2_27 2_17; do
    platforms+=(--platform "manylinux_${libc}_${version#* }")
done
"$PYTHON" -m pip download --quiet --disable-pip-version-check --only-binary :all: --python-version "${version% *}" \
    "${platforms[@]}" --requirement requirements.txt --dest wheels
echo "$made" >wheels/made
