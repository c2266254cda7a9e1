#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build.sh FOLDER [CMAKE OPTIONS]: configures and builds quietly; prints the log only when it fails.
set -eu
folder=$1
shift
source=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
log=$folder/build.log
if ! { cmake -S "$source" -B "$folder" -G Ninja "$@" && cmake --build "$folder"; } >"$log" 2>&1; then
    grep -E -A 12 'error|FAILED|warning' "$log" | head -n 60 >&2 || true
    echo "build.sh: the build in $folder failed; the whole log is $log" >&2
    exit 1
fi
