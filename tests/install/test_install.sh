#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into an empty folder and builds the examples against what was installed: through pkg-config with the shared
# library, with the static one, and through the CMake package. Runs what it built.
set -eu
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$PINION_BUILD_DIR" --prefix "$prefix/usr" >"$prefix/log" 2>&1 || { cat "$prefix/log"; exit 1; }
libdir=$(dirname "$(find "$prefix/usr" -name 'libpinion.so' | head -n 1)")
for wanted in include/pinion/pinion.h bin/pinion share/man/man1/pinion.1 share/bash-completion/completions/pinion; do
    [ -f "$prefix/usr/$wanted" ] || { echo "not installed: $wanted"; exit 1; }
done

# The README's program is an example like the others.
sed -n '/^    #include <pinion\/pinion.h>/,/^    }/s/^    //p' "$PINION_SOURCE/README.md" >"$prefix/readme.c"

export PKG_CONFIG_PATH="$libdir/pkgconfig"
relocate="--define-variable=prefix=$prefix/usr"
for example in model_info own_network dynamic_network; do
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror "$PINION_SOURCE/examples/$example.c" \
        $(pkg-config $relocate --cflags --libs pinion) -o "$prefix/$example"
    ${CC:-cc} -std=c11 "$PINION_SOURCE/examples/$example.c" $(pkg-config $relocate --cflags pinion) \
        "$libdir/libpinion.a" $(pkg-config --libs jansson hwloc libpng libjpeg) $(sed -n "s/^Libs.private: //p" "$PKG_CONFIG_PATH/pinion.pc") \
        -o "$prefix/$example.static"
done
${CC:-cc} -std=c11 -Wall -Wextra -Werror "$prefix/readme.c" $(pkg-config $relocate --cflags --libs pinion) -o "$prefix/readme"
LD_LIBRARY_PATH=$libdir "$prefix/model_info" >"$prefix/shared.out"
"$prefix/model_info.static" >"$prefix/static.out"
cmp "$prefix/shared.out" "$prefix/static.out"
grep -q 'alexnet-cifar *2293706 parameters' "$prefix/shared.out" || { cat "$prefix/shared.out"; exit 1; }
cd "$prefix"
LD_LIBRARY_PATH=$libdir ./readme | grep -q '^top-1 accuracy [0-9.]* %$'
[ -f own.safetensors ]
LD_LIBRARY_PATH=$libdir ./own_network >own.out
top1=$(sed -n 's/top-1 accuracy \([0-9]*\).*/\1/p' own.out)
[ "${top1:-0}" -ge 30 ] || { echo "the example's own network learned nothing:"; cat own.out; exit 1; }
LD_LIBRARY_PATH=$libdir ./dynamic_network >dynamic.out
grep -q '^stage 5 of 5: top-1 accuracy by width [0-9.]* [0-9.]* [0-9.]* [0-9.]* %$' dynamic.out && grep -q '^width 4: logits' dynamic.out ||
    { cat dynamic.out; exit 1; }

# No symbol but the public ones leaves the shared library.
if nm -D --defined-only "$libdir/libpinion.so" | awk '{ print $3 }' | grep -v -E '^pinion_[^_]'; then
    echo "the shared library shows more than pinion_..."
    exit 1
fi

mkdir user
cat >user/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.18)
project(user C)
find_package(pinion REQUIRED)
add_executable(user_shared $PINION_SOURCE/examples/model_info.c)
target_link_libraries(user_shared pinion::shared)
add_executable(user_static $PINION_SOURCE/examples/model_info.c)
target_link_libraries(user_static pinion::static)
END
{ cmake -S user -B user/build -DCMAKE_PREFIX_PATH="$prefix/usr" && cmake --build user/build; } >user/log 2>&1 ||
    { cat user/log; exit 1; }
user/build/user_shared | cmp - shared.out
user/build/user_static | cmp - shared.out
"$prefix/usr/bin/pinion" version
