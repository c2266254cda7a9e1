#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Includes point down: a file of src/X includes only <pinion/...>, its own folder, and folders below it; the command sees
# only <pinion/...> and itself.
set -eu
cd "$(dirname "$0")/.."
order="base tensor platform op data device net kernel plan run learn govern" # from the ground up
failed=0
level() {
    n=0
    for folder in $order; do
        n=$((n + 1))
        [ "$folder" != "$1" ] || { echo $n; return; }
    done
    echo 0
}
for file in $(git ls-files 'src/*.c' 'src/*.h' 'src/*.def'); do
    own=$(echo "$file" | cut -d / -f 2)
    mine=$(level "$own")
    if [ "$mine" -eq 0 ]; then
        echo "$file: folder '$own' has no place in the order: $order"
        failed=1
        continue
    fi
    for included in $(sed -n 's/^# *include "\([^"]*\)".*/\1/p' "$file"); do
        theirs=$(level "${included%%/*}")
        if [ "$theirs" -eq 0 ]; then
            echo "$file: \"$included\" is not written from src/"
            failed=1
        elif [ "$theirs" -gt "$mine" ]; then
            echo "$file: \"$included\" points up"
            failed=1
        fi
    done
done
for file in $(git ls-files 'tools/pinion/*.c' 'tools/pinion/*.h'); do
    for included in $(sed -n 's/^# *include "\([^"]*\)".*/\1/p' "$file"); do
        [ -f "tools/pinion/$included" ] || { echo "$file: \"$included\" is not of the command"; failed=1; }
    done
done
[ "$failed" -eq 0 ] && echo "includes point down"
exit "$failed"
