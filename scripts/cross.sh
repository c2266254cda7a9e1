#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cross.sh aarch64|armv7 FOLDER: builds with Debian's cross compiler, checks the machine code of the kernels, and runs the
# kernel checker and the small tests under qemu; the last line is "N passed, N failed, N skipped". The libraries of the
# other architecture are unpacked into the folder; nothing of the system is changed.
set -eu
case ${1:-} in
aarch64) debian=arm64 triplet=aarch64-linux-gnu ;;
armv7) debian=armhf triplet=arm-linux-gnueabihf ;;
*)
    echo "usage: cross.sh aarch64|armv7 FOLDER" >&2
    exit 2
    ;;
esac
target=$1 folder=${2:?cross.sh: which folder?}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
source=$(cd "$(dirname "$0")/.." && pwd)
export PINION_SYSROOT="$folder/sysroot"
packages="libhwloc15 libhwloc-dev libjansson4 libjansson-dev libpng16-16 libpng-dev
libjpeg62-turbo libjpeg62-turbo-dev zlib1g zlib1g-dev libcmocka0 libcmocka-dev libudev1 libcap2"

if [ ! -f "$PINION_SYSROOT/complete" ]; then
    mkdir -p "$folder/packages/lists/partial" "$PINION_SYSROOT"
    cd "$folder/packages"
    apt="apt-get -q -o APT::Architecture=$debian -o APT::Architectures=$debian -o Dir::State::Lists=$folder/packages/lists"
    $apt update >"$folder/apt.log" 2>&1 || true # one index may fail (a mirror in mid-sync) and the packages be there
    if ! $apt download $packages >>"$folder/apt.log" 2>&1; then
        tail -n 20 "$folder/apt.log" >&2
        echo "cross.sh: the $debian libraries could not be fetched" >&2
        exit 1
    fi
    for package in *.deb; do
        dpkg -x "$package" "$PINION_SYSROOT"
    done
    # Libraries that stand in /lib on the target, where the linker looks in /usr/lib only.
    if [ -d "$PINION_SYSROOT/lib/$triplet" ]; then
        cp -an "$PINION_SYSROOT/lib/$triplet/." "$PINION_SYSROOT/usr/lib/$triplet/"
    fi
    touch "$PINION_SYSROOT/complete"
    cd "$source"
fi
sh "$source/scripts/build.sh" "$folder/build" -DCMAKE_BUILD_TYPE=Release -DPINION_WERROR=ON -DPINION_BENCH=OFF \
    -DCMAKE_TOOLCHAIN_FILE="$source/cmake/$target.cmake"

sh "$source/scripts/check_asm.sh" "$folder/build"
PINION_QUICK=1 sh "$source/scripts/ctest.sh" "$folder/build" \
    -R '^(base|net|fuzz|kernel\.(kernels|known|registry)|plan\.(layout|plan)|run\.(executor|runner|failures)|data\.)' \
    -E '^data\.(real|synthetic)'
