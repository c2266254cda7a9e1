#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cppcheck.sh: cppcheck over the library and the command.
set -eu
cd "$(dirname "$0")/.."
cppcheck -j 2 --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppress=unknownMacro -D_GNU_SOURCE -DPINION_VERSION='"0"' \
    -DPINION__ISA_NAME=avx512 -D__AVX512F__ -DPINION__HAVE_BASELINE=1 -DPINION__HAVE_AVX2=1 -DPINION__HAVE_AVX512=1 \
    -DPINION__HAVE_NEON=0 -I include -I src -I tools/pinion $(git ls-files 'src/*.c' 'tools/*.c')
