#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_asm.sh BUILD_FOLDER: reads the machine code of the matrix-product kernels of every instruction set of a build.
# In each function below the innermost loop with the most multiply-adds must have at least as many as the register tile
# has vectors (rows x vectors), and no innermost loop with as many as half of that may spill (read or write the stack),
# compute on scalars, or on parts of registers. On SSE2, which has no fused multiply-add, a multiplication and an
# addition count as one. Prints a table; fails with a sentence for each fault, also for a kernel that is not found.
# Loads are instructions that read memory.
set -eu
[ $# -eq 1 ] && [ -f "$1/compile_commands.json" ] || { echo "usage: check_asm.sh BUILD_FOLDER" >&2; exit 2; }
folder=$(cd "$1" && pwd)

# The micro-kernels: file of src/kernel/cpu | functions it may be found in, once inlined | rows | vectors (C expressions
# of that file).
kernels='
gemm_rows         | gemm_rows         | PINION__TILE_ROWS | PINION__TILE_VECTORS
gemm_rows         | gemm_rows_narrow  | PINION__TILE_ROWS | 1
gemm_reduce       | gemm_reduce       | PINION__TILE_ROWS | PINION__TILE_VECTORS
winograd_multiply | winograd_multiply | PINION__TILE_ROWS | PINION__TILE_VECTORS
winograd_multiply | winograd_multiply_narrow | PINION__TILE_ROWS | 1
winograd_multiply | winograd_reduce   | PINION__TILE_ROWS | PINION__TILE_VECTORS
'

objdump=$(sed -n 's/^CMAKE_OBJDUMP:[A-Z]*=//p' "$folder/CMakeCache.txt")
[ -n "$objdump" ] || objdump=objdump
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# size_of ISA FILE EXPRESSION: its value, as the compiler sees it in that file: the size of an array in the assembly.
size_of() {
    line=$(grep "\"command\".*/pinion_cpu_$1\.dir/kernel/cpu/$2\.c\.o -c" "$folder/compile_commands.json") || return 0
    line=$(echo "$line" | sed 's/^ *"command": "//; s/",\{0,1\}$//; s/\\"/"/g; s/\\\\/\\/g; s/ -o .*//')
    source=$(sed -n "s|^ *\"file\": \"\(.*/src/kernel/cpu/$2\.c\)\".*|\1|p" "$folder/compile_commands.json" | head -n 1)
    printf '#include "%s"\nchar check_asm_size[%s];\n' "$source" "$3" >"$work/size.c"
    (cd "$folder" && eval "$line -O0 -w -S -o - '$work/size.c'") | sed -n 's/.*\.size[ \t]*check_asm_size, *//p'
}

# inner_loops: of a disassembly on standard input: a line for each innermost loop with a multiply-add:
# function multiply-adds loads stack-accesses scalars partial address
inner_loops() {
    awk -v isa="$1" -f "$work/loops.awk"
}
cat >"$work/loops.awk" <<'AWK'
# Compares like the number, as text.
function padded(hex) { while (length(hex) < 16) hex = "0" hex; return "x" hex }

# The register an instruction writes (its first operand, on x86 its last), for those that keep addresses.
function target_of(i,    parts, n) {
    n = split(operands[i], parts, /, */)
    return machine == "x86" ? parts[n] : parts[1]
}
function is_jump(what) {
    if (machine == "x86")
        return what ~ /^j/
    return what ~ /^(b|b\.[a-z]+|b(eq|ne|cs|cc|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)|cbn?z|tbn?z)(\.[nw])?$/
}
# Does the next instruction never follow it?
function always_leaves(i) {
    if (machine == "x86")
        return name[i] ~ /^(jmp|ret|ud2)/
    return name[i] ~ /^(b|br|bx|ret|tbb|tbh|udf|brk)(\.[nw])?$/ || (name[i] ~ /^(pop|ld)/ && operands[i] ~ /(^|[{ ,-])pc/)
}
function is_store(i) {
    if (machine != "x86")
        return name[i] ~ /^v?st/ || name[i] ~ /^v?push/
    return name[i] ~ /^v?mov/ && operands[i] ~ /\)$/
}
function reads_memory(i) {
    if (machine != "x86")
        return name[i] ~ /^v?ld/ || name[i] ~ /^v?pop/
    return operands[i] ~ /\(/ && !is_store(i) && name[i] !~ /^(lea|nop|prefetch)/
}
function mentions(i, register) {
    return (" " operands[i] " ") ~ ("[^a-z0-9]" register "[^a-z0-9]")
}
# Does it touch the stack: through the stack or frame pointer, or a register that was made from them? Parking an address
# in a vector register is as bad.
function on_stack(i,    r) {
    if (machine == "x86" && name[i] ~ /^v?mov[dq]$/ && operands[i] ~ /%xmm/ && operands[i] ~ /%[re]/)
        return 1
    if (mentions(i, stack) || (frame != "" && mentions(i, frame)))
        return 1
    if (operands[i] ~ /[(\[]/)
        for (r in made)
            if (operands[i] ~ ("[(\\[][^)\\]]*" r "[^a-z0-9]"))
                return 1
    return 0
}
# Follows in `made` which registers hold addresses of the stack.
function follow(i,    r) {
    r = target_of(i)
    gsub(/[%\[\]!{}]/, "", r)
    if (r !~ /^[a-z][a-z0-9]*$/ || is_store(i))
        return
    delete made[machine == "x86" ? "%" r : r]
    if (name[i] ~ /^(lea|mov|add|sub)/ && mentions(i, stack) && r != stack && !(name[i] ~ /^mov/ && operands[i] ~ /\(/))
        made[machine == "x86" ? "%" r : r] = 1
}
function vector_fma(i) {
    if (machine == "x86")
        return name[i] ~ /^vfn?m(add|sub)[0-9]*ps$/
    if (machine == "aarch64")
        return name[i] ~ /^fml[as]$/ && operands[i] ~ /^v/
    return name[i] ~ /^vfm[as]\.f32$/ && operands[i] ~ /^[qd]/
}
function vector_other(i) {
    if (machine == "x86")
        return name[i] ~ /^v?(mul|add|sub)ps$/
    if (machine == "aarch64")
        return name[i] ~ /^f(mul|add|sub)$/ && operands[i] ~ /^v/
    return name[i] ~ /^v(mul|mla|mls|add|sub)\.f32$/ && operands[i] ~ /^[qd]/
}
function full(i) {
    if (machine == "aarch64")
        return operands[i] ~ /^v[0-9]+\.4s/
    if (machine == "arm")
        return operands[i] ~ /^q/
    return operands[i] ~ (isa == "avx512" ? "%zmm[0-9]+$" : isa == "avx2" ? "%ymm[0-9]+$" : "%xmm[0-9]+$")
}
function scalar(i) {
    if (machine == "x86")
        return name[i] ~ /^v?(add|sub|mul|div|sqrt|min|max|fn?m(add|sub)[0-9]*)s[sd]$/
    if (machine == "aarch64")
        return name[i] ~ /^fn?(add|sub|mul|madd|msub|div|sqrt|min|max)/ && operands[i] ~ /^[sdh][0-9]/
    return name[i] ~ /\.f64$/ || (name[i] ~ /^v.*\.f32$/ && name[i] !~ /^v(mov|ld|st|dup)/ && operands[i] ~ /^s[0-9]/)
}
# body[1 ... count]: the natural loop that is closed by a jump from `tail` to `head`: what leads to the tail without
# passing the head. Returns 0 where the head is not its only entrance.
function natural_loop(head, tail,    i, k, n, top, stack_of) {
    body[head] = 1
    stack_of[top = 1] = tail
    while (top > 0) {
        i = stack_of[top--]
        if (i in body)
            continue
        body[i] = 1
        n = split(before[i], from, " ")
        if (i > 1 && !leaves[i - 1])
            from[++n] = i - 1
        if (n == 0)
            return 0
        for (k = 1; k <= n; k++)
            stack_of[++top] = from[k]
    }
    return 1
}
function report_loop(head,    i, fma, multiply, addition, loads, spills, scalars, partial, fused) {
    fma = multiply = addition = loads = spills = scalars = partial = 0
    split("", made)
    for (i = 1; i < head; i++)
        follow(i)
    for (i = 1; i <= count; i++) {
        if (!((head, i) in inside))
            continue
        fused = vector_fma(i)
        fma += fused && full(i)
        multiply += name[i] == "mulps"
        addition += name[i] == "addps"
        partial += (fused || vector_other(i)) && !full(i)
        loads += reads_memory(i)
        spills += on_stack(i)
        scalars += scalar(i)
        follow(i)
    }
    if (isa == "baseline")
        fma = multiply < addition ? multiply : addition
    if (fma + partial + scalars > 0)
        print symbol, fma, loads, spills, scalars, partial, substr(address[head], 2)
}
function finish_function(    i, a, b, heads, inner) {
    split("", before)
    split("", inside)
    split("", heads)
    for (i = 1; i <= count; i++)
        if (goal[i] != "" && goal[i] in index_of)
            before[index_of[goal[i]]] = before[index_of[goal[i]]] " " i
    for (i = 1; i <= count; i++) {
        if (goal[i] == "" || !(goal[i] in index_of) || index_of[goal[i]] > i)
            continue
        a = index_of[goal[i]]
        split("", body)
        if (!natural_loop(a, i))
            continue
        heads[a] = 1
        for (b in body)
            inside[a, b] = 1
    }
    for (a in heads) {
        inner = 1
        for (b in heads)
            if (a != b && ((a, b) in inside))
                inner = 0
        if (inner)
            report_loop(a + 0)
    }
}
/file format/ {
    machine = /x86-64/ ? "x86" : /aarch64/ ? "aarch64" : "arm"
    stack = machine == "x86" ? "%rsp" : "sp"
}
/^[0-9a-f]+ <.*>:$/ {
    finish_function()
    symbol = $2
    gsub(/[<>:]/, "", symbol)
    count = 0
    frame = ""
    split("", index_of)
    next
}
/^ *[0-9a-f]+:\t/ {
    split($0, fields, "\t")
    at = fields[1]
    gsub(/[ :]/, "", at)
    count++
    address[count] = padded(at)
    index_of[padded(at)] = count
    text = fields[2]
    if (fields[3] != "")
        text = text " " fields[3]
    sub(/[@;].*$|\/\/.*$/, "", text) # comments
    name[count] = text
    sub(/ .*/, "", name[count])
    operands[count] = text ~ / / ? text : ""
    sub(/^[^ ]* */, "", operands[count])
    sub(/ *$/, "", operands[count])
    if (name[count] == "mov" && operands[count] ~ /^%rsp, *%rbp$/)
        frame = "%rbp"
    if (name[count] == "mov" && operands[count] ~ /^x29, sp$/)
        frame = "x29"
    goal[count] = ""
    if (is_jump(name[count]) && match(operands[count], /[0-9a-f]+ </))
        goal[count] = padded(substr(operands[count], RSTART, RLENGTH - 2))
    leaves[count] = always_leaves(count)
}
END { finish_function() }
AWK

# judge ISA FILE NEEDED ROWS FUNCTIONS: loops on standard input; a line of the table, then the faults.
judge() {
    awk -v isa="$1" -v file="$2" -v needed="$3" -v rows="$4" -v functions="$5" '
        function fault(text) {
            if (++faults <= 3)
                printf "%s: %s.c: %s\n", isa, file, text
        }
        BEGIN { found = split(functions, wanted, " "); best = -1 }
        {
            plain = $1
            sub(/\.(part|isra|constprop|cold).*$/, "", plain)
            sub(/^pinion__(shared_)?/, "", plain)
            sub("_" (isa == "baseline" || isa ~ /^avx/ ? isa : "neon") "$", "", plain)
            for (i = 1; i <= found; i++)
                if (plain == wanted[i]) {
                    lines[++n] = $0
                    if ($2 > best) { best = $2; loads = $3; spills = $4; symbol = plain }
                }
        }
        END {
            if (n == 0) {
                printf "%s: %s.c has no loop of multiply-adds in a function named: %s\n", isa, file, functions
                exit 1
            }
            printf "%-9s %-24s %-24s %4d %5d %9.2f %7d\n", isa, file, symbol, rows, best, loads / (best > 0 ? best : 1), spills
            if (best < needed)
                fault(sprintf("the largest inner loop of %s has %d vector multiply-adds; a tile of %d rows needs %d",
                    symbol, best, rows, needed))
            for (i = 1; i <= n; i++) {
                split(lines[i], f, " ")
                at = "the loop at " f[7] " of " f[1] " has "
                if (f[4] > 0 && 2 * f[2] >= needed)
                    fault(at f[4] " instructions that spill registers")
                if (f[5] > 0 && 2 * (f[2] + f[5]) >= needed)
                    fault(at f[5] " scalar floating-point operations")
                if (f[6] > 0 && 2 * (f[2] + f[6]) >= needed)
                    fault(at f[6] " operations on parts of registers")
            }
            if (faults > 3)
                printf "%s: %s.c: and %d more\n", isa, file, faults - 3
            exit faults > 0
        }'
}

sets=0
source_folder=$(sed -n 's/^CMAKE_HOME_DIRECTORY:[A-Z]*=//p' "$folder/CMakeCache.txt")
for user in $(cd "$source_folder/src/kernel/cpu" && grep -l '"kernel/cpu/tile.h"' *.c); do
    if ! echo "$kernels" | grep -q "^${user%.c} "; then
        echo "src/kernel/cpu/$user uses tile.h and is not in the list of scripts/check_asm.sh"
        touch "$work/failed"
    fi
done
printf '%-9s %-24s %-24s %4s %5s %9s %7s\n' ISA file function rows FMAs loads/FMA spills
for set in "$folder"/src/CMakeFiles/pinion_cpu_*.dir; do
    [ -d "$set" ] || continue
    sets=$((sets + 1))
    isa=${set##*/pinion_cpu_} isa=${isa%.dir}
    echo "$kernels" | while IFS='|' read -r file functions rows vectors; do
        file=$(echo $file) functions=$(echo $functions) rows=$(echo $rows) vectors=$(echo $vectors)
        [ -n "$file" ] || continue
        object=$set/kernel/cpu/$file.c.o
        if [ ! -f "$object" ]; then
            echo "$isa: $object does not exist: was the kernel moved? The list is in scripts/check_asm.sh"
            touch "$work/failed"
            continue
        fi
        needed=$(size_of "$isa" "$file" "($rows) * ($vectors)")
        height=$(size_of "$isa" "$file" "$rows")
        if [ -z "$needed" ] || [ -z "$height" ]; then
            echo "$isa: the compiler does not know $rows and $vectors in $file.c"
            touch "$work/failed"
            continue
        fi
        "$objdump" -d --no-show-raw-insn "$object" >"$work/code"
        inner_loops "$isa" <"$work/code" >"$work/loops"
        judge "$isa" "$file" "$needed" "$height" "$functions" <"$work/loops" || touch "$work/failed"
    done
done
if [ "$sets" -eq 0 ]; then
    echo "$folder holds no kernels: build it first"
    exit 1
fi
[ ! -f "$work/failed" ] || { echo "check_asm.sh: failed"; exit 1; }
