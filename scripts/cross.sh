#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cross.sh FOLDER: builds for aarch64 with Debian's cross compiler and runs the kernel checker and the small tests under
# qemu. The libraries of the other architecture are unpacked into the folder; nothing of the system is changed.
set -eu
folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
source=$(cd "$(dirname "$0")/.." && pwd)
export PINION_SYSROOT="$folder/sysroot"
packages="libhwloc15 libhwloc-dev libpthreadpool0 libpthreadpool-dev libjansson4 libjansson-dev libpng16-16 libpng-dev
libjpeg62-turbo libjpeg62-turbo-dev zlib1g zlib1g-dev libcmocka0 libcmocka-dev libudev1"

if [ ! -f "$PINION_SYSROOT/complete" ]; then
    mkdir -p "$folder/packages/lists/partial" "$PINION_SYSROOT"
    cd "$folder/packages"
    apt="apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::Lists=$folder/packages/lists"
    $apt update >"$folder/apt.log" 2>&1
    $apt download $packages >>"$folder/apt.log" 2>&1
    for package in *.deb; do
        dpkg -x "$package" "$PINION_SYSROOT"
    done
    # Libraries that stand in /lib on the target, where the linker looks in /usr/lib only.
    if [ -d "$PINION_SYSROOT/lib/aarch64-linux-gnu" ]; then
        cp -an "$PINION_SYSROOT/lib/aarch64-linux-gnu/." "$PINION_SYSROOT/usr/lib/aarch64-linux-gnu/"
    fi
    touch "$PINION_SYSROOT/complete"
    cd "$source"
fi
sh "$source/scripts/build.sh" "$folder/build" -DCMAKE_BUILD_TYPE=Release -DPINION_WERROR=ON -DPINION_BENCH=OFF \
    -DCMAKE_TOOLCHAIN_FILE="$source/cmake/aarch64.cmake"
emulator="qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$PINION_SYSROOT/usr/lib/aarch64-linux-gnu:/usr/aarch64-linux-gnu/lib"
checker=$(find "$folder/build/tests" -type f -name 'test_kernel_kernels' | head -n 1)
$emulator "$checker" --quick
