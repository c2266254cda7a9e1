#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# header.sh CC SOURCE NAME: include/pinion/NAME.h compiles alone in C11 and in C++.
set -eu
compiler=$1 source=$2 name=$3
unit=$(mktemp -d)
trap 'rm -rf "$unit"' EXIT
echo "#include <pinion/$name.h>" >"$unit/alone.c"
"$compiler" -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$source/include" -fsyntax-only "$unit/alone.c"
for cxx in c++ g++ clang++; do
    if command -v "$cxx" >/dev/null 2>&1; then
        cp "$unit/alone.c" "$unit/alone.cc"
        "$cxx" -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$source/include" -fsyntax-only "$unit/alone.cc"
        exit 0
    fi
done
echo "no C++ compiler: only C was checked"
exit 77
