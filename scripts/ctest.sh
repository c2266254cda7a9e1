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
# LeakSanitizer (clang 14) can crash on a driver's thread that ends while it looks. It says so itself, after the test's
# own verdict; when nothing else failed, these tests are run again, and the second result counts.
crashed=$(grep -c 'LeakSanitizer has encountered a fatal error' "$log")
if [ "$failed" -gt 0 ] && [ "$failed" -eq "$crashed" ] && [ "$(grep -c 'ERROR: AddressSanitizer' "$log")" -eq 0 ]; then
    echo "LeakSanitizer crashed in $crashed tests: run again"
    ctest --test-dir "$folder" --output-on-failure --rerun-failed >"$log.again" 2>&1
    status=$?
    passed=$((passed + $(grep -c -E '^ *[0-9]+/[0-9]+ Test +#.* Passed ' "$log.again")))
    failed=$((total - passed - skipped))
    cat "$log.again" >>"$log"
fi
if [ "$total" -eq 0 ] || { [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; }; then
    tail -n 20 "$log"
    failed=$((failed + 1))
fi
[ "$failed" -eq 0 ] || echo "the whole log is $log"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
