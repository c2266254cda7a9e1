#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tidy.sh FOLDER: clang-tidy over the library and the command, with the flags of a build folder. A CPU kernel is read once.
set -eu
cd "$(dirname "$0")/.."
folder=$1
git ls-files 'src/*.c' 'tools/*.c' | xargs -P 2 -n 8 clang-tidy -p "$folder" --quiet --warnings-as-errors='*'
