#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tidy.sh FOLDER: clang-tidy over the library and the command, with the flags of a build folder. A CPU kernel is built once per
# instruction set but read once, as AVX-512 (on other machines: as what the compiler takes by default).
set -eu
cd "$(dirname "$0")/.."
folder=$1
isa=
[ "$(uname -m)" != x86_64 ] || isa="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma"
status=0
git ls-files 'src/*.c' 'tools/*.c' | grep -v '^src/kernel/cpu/' |
    xargs -P 2 -n 1 clang-tidy -p "$folder" --extra-arg=-UNDEBUG --quiet --warnings-as-errors='*' || status=1
git ls-files 'src/kernel/cpu/*.c' |
    xargs -P 2 -I FILE clang-tidy --quiet --warnings-as-errors='*' FILE -- -std=c11 -D_GNU_SOURCE \
        -DPINION__ISA_NAME=avx512 -Iinclude -Isrc $isa || status=1
exit $status
