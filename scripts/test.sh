#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test.sh [CTEST OPTIONS]: installs what is missing, builds, runs every test. The last line is
# "N passed, N failed, N skipped".
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh --tests
build=${PINION_BUILD:-build/test}
sh scripts/build.sh "$build" -DCMAKE_BUILD_TYPE=Release -DPINION_WERROR="${PINION_WERROR:-OFF}"
sh scripts/ctest.sh "$build" "$@"
