#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh FOLDER SECONDS: builds the fuzz targets with libFuzzer, ASan and UBSan and runs each, two at a time, from its corpus.
# They read files and options and run no kernel: one instruction set's kernels are there to be linked.
set -eu
folder=$1 seconds=$2
cd "$(dirname "$0")/.."
sh scripts/build.sh "$folder" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DPINION_FUZZ=ON \
    -DPINION_TESTS=OFF -DPINION_BENCH=OFF -DPINION_ONLY_ISAS=baseline -DPINION_SANITIZE=address,undefined,fuzzer-no-link
run_one() {
    name=$1
    found=$folder/found/$name
    mkdir -p "$found"
    if ! "$folder/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -max_len=65536 -close_fd_mask=2 \
        -artifact_prefix="$found/" "$found" "fuzz/corpus/$name" >"$folder/$name.log" 2>&1; then
        tail -n 40 "$folder/$name.log"
        echo "fuzz_$name failed"
        return 1
    fi
    echo "fuzz_$name: $(grep -E '^(#[0-9]+.*DONE|Done)' "$folder/$name.log" | tail -n 1)"
}
status=0
running=
for target in fuzz/fuzz_*.c; do
    name=$(basename "$target" .c)
    run_one "${name#fuzz_}" &
    running="$running $!"
    if [ "$(echo "$running" | wc -w)" -ge 2 ]; then
        for process in $running; do wait "$process" || status=1; done
        running=
    fi
done
for process in $running; do wait "$process" || status=1; done
exit $status
