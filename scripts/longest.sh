#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The five longest files and functions: an alarm, not a quota. In the house style a function's body begins with "{" and
# ends with "}" in the first column.
set -eu
cd "$(dirname "$0")/.."
files=$(git ls-files 'src/*.c' 'src/*.h' 'tools/*.c' 'tests/*.c' 'tests/*.h' 'include/*.h')
echo "longest files:"
wc -l $files | grep -v total | sort -rn | head -n 5
echo "longest functions:"
for file in $(echo "$files" | grep '\.c$'); do
    awk -v file="$file" '
        /^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
        /^\{/ { start = NR }
        /^\}/ { if (start) printf "%5d %s (%s)\n", NR - start - 1, name, file; start = 0 }' "$file"
done | sort -rn >/tmp/pinion-functions.$$
head -n 5 /tmp/pinion-functions.$$
awk '{ n[NR] = $1 } END { if (NR) printf "median of %d functions: %d lines\n", NR, n[int((NR + 1) / 2)] }' /tmp/pinion-functions.$$
rm -f /tmp/pinion-functions.$$
