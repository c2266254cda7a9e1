#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# setup.sh [--tests] [PACKAGE...]: installs what the build needs (with --tests also what the tests need), and the Debian packages
# named, where they are missing. apt does it by itself (as root, or through sudo); for other package managers the names are printed.
# OpenCL's headers, and for tests PoCL, an OpenCL that runs on the CPU, are installed where that is possible: without them
# Pinion is built without OpenCL, or its tests are skipped.
set -eu

modules="hwloc jansson libpng libjpeg"
optional=
needed="gcc g++ cmake ninja-build pkg-config libhwloc-dev libjansson-dev libpng-dev libjpeg-dev"
if [ "${1:-}" = --tests ]; then
    shift
    modules="$modules cmocka"
    needed="$needed libcmocka-dev"
fi

# OpenCL: what is missing of it.
echo '#include <CL/cl.h>' | "${CC:-cc}" -fsyntax-only -x c - 2>/dev/null || optional=opencl-c-headers
if [ "$modules" != "${modules%cmocka}" ] && ! ls /etc/OpenCL/vendors/*.icd >/dev/null 2>&1; then
    optional="$optional ocl-icd-libopencl1 pocl-opencl-icd"
fi

# What counts is that the tools and libraries are there, under whatever package name.
has_everything() {
    command -v cmake >/dev/null && command -v ninja >/dev/null && command -v pkg-config >/dev/null &&
        command -v "${CC:-cc}" >/dev/null && pkg-config --exists $modules
}
if has_everything 2>/dev/null; then
    needed=
fi
needed="$needed $*"

if command -v apt-get >/dev/null 2>&1; then
    missing=
    for package in $needed; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing="$missing $package"
    done
    [ -n "$missing$optional" ] || exit 0
    become=
    if [ "$(id -u)" -ne 0 ]; then
        become=sudo
        if ! command -v sudo >/dev/null 2>&1; then
            [ -n "$missing" ] || exit 0
            echo "setup.sh: not root, and there is no sudo: install these yourself:$missing" >&2
            exit 1
        fi
    fi
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    install() {
        echo "installing:$*"
        $become apt-get update >"$log" 2>&1 && $become env DEBIAN_FRONTEND=noninteractive apt-get install -y \
            --no-install-recommends "$@" >"$log" 2>&1
    }
    if [ -n "$missing" ] && ! install $missing; then
        tail -n 20 "$log" >&2
        echo "setup.sh: the package manager failed on:$missing" >&2
        exit 1
    fi
    if [ -n "$optional" ] && ! install $optional; then
        echo "setup.sh: without OpenCL: the package manager failed on: $optional" >&2
    fi
    exit 0
fi

[ -n "$(echo $needed)" ] || exit 0
if command -v dnf >/dev/null 2>&1; then
    echo "setup.sh: please install: dnf install gcc gcc-c++ cmake ninja-build pkgconf hwloc-devel jansson-devel libpng-devel libjpeg-turbo-devel libcmocka-devel" >&2
elif command -v pacman >/dev/null 2>&1; then
    echo "setup.sh: please install: pacman -S gcc cmake ninja pkgconf hwloc jansson libpng libjpeg-turbo cmocka" >&2
elif command -v brew >/dev/null 2>&1; then
    echo "setup.sh: please install: brew install cmake ninja pkg-config hwloc jansson libpng jpeg-turbo cmocka" >&2
else
    echo "setup.sh: no package manager is known here; needed are: a C compiler, cmake, ninja, pkg-config, hwloc, jansson, libpng, libjpeg-turbo, cmocka" >&2
fi
exit 1
