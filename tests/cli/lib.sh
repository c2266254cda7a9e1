# SPDX-License-Identifier: Apache-2.0
# What the tests of the command share: a folder of their own, and expectations on exit code and output.
set -u
PINION_WISDOM=off # times of other runs choose no kernels here
export PINION_WISDOM
pinion=$PINION_BINARY
work=$(mktemp -d)
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "FAILED: $*"
    failures=$((failures + 1))
}

# expect CODE SENTENCE ARGUMENT...: the command exits with CODE and says exactly SENTENCE ("" = anything) on standard error.
expect() {
    code=$1 sentence=$2
    shift 2
    "$pinion" "$@" >out 2>err </dev/null
    got=$?
    [ "$got" -eq "$code" ] || { fail "pinion $*: exit code $got, expected $code"; cat err; }
    if [ -n "$sentence" ] && [ "$(cat err)" != "$sentence" ]; then
        fail "pinion $*:"
        echo "  said:     $(cat err)"
        echo "  expected: $sentence"
    fi
}

# A tiny network that trains in milliseconds on 32x32x3 data.
tiny_network() {
    cat >"${1:-tiny.json}" <<'END'
{"name": "tiny", "input": [32, 32, 3], "layers": [
  {"name": "conv1", "op": "conv2d", "input": "input", "channels": 8, "filter": 3, "stride": 2, "padding": 1, "bias": false},
  {"name": "bn1", "op": "batchnorm", "input": "conv1"},
  {"name": "relu1", "op": "relu", "input": "bn1"},
  {"name": "drop", "op": "dropout", "input": "relu1", "rate": 0.1},
  {"name": "pool", "op": "maxpool", "input": "drop", "window": 4},
  {"name": "flatten", "op": "flatten", "input": "pool"},
  {"name": "fc", "op": "linear", "input": "flatten", "channels": 10}]}
END
}

# The value of a key of the last line of a file of flat JSON.
value() {
    tail -n 1 "$1" | sed -n "s/.*\"$2\":\([^,}]*\).*/\1/p"
}

finish() {
    [ "$failures" -eq 0 ] || { echo "$failures expectations failed"; exit 1; }
    exit 0
}
