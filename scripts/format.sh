#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# format.sh [--check]: formats every C file (tables are exempt), or says which ones are not.
set -eu
cd "$(dirname "$0")/.."
files=$(git ls-files '*.c' '*.h')
if [ "${1:-}" = --check ]; then
    clang-format --dry-run -Werror $files
else
    clang-format -i $files
fi
