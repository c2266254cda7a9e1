#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ctest.sh FOLDER [CTEST OPTIONS]: runs the tests of a build folder and counts them: "N passed, N failed, N skipped".
set -u
folder=$1
shift
log=$folder/ctest.log
ctest --test-dir "$folder" -j 2 --output-on-failure "$@" >"$log" 2>&1
status=$?
sed -n -E '/^ *[0-9]+\/[0-9]+ Test/p; /\*\*\*|Error|FAILED|^\[  /p' "$log" | grep -v -E '\[ (RUN|      OK)|Passed' || true
passed=$(grep -c -E '^ *[0-9]+/[0-9]+ Test +#.* Passed ' "$log")
skipped=$(grep -c -E '^ *[0-9]+/[0-9]+ Test +#.*\*\*\*(Skipped|Not Run \(Disabled\))' "$log")
total=$(grep -c -E '^ *[0-9]+/[0-9]+ Test +#' "$log")
failed=$((total - passed - skipped))
if [ "$total" -eq 0 ] || { [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; }; then
    tail -n 20 "$log"
    failed=$((failed + 1))
fi
[ "$failed" -eq 0 ] || echo "the whole log is $log"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
