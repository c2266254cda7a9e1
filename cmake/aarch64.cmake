# SPDX-License-Identifier: Apache-2.0
# Cross build for 64-bit ARM Linux.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(PINION_CROSS aarch64-linux-gnu)
set(PINION_CROSS_FLAGS "")
set(PINION_CROSS_EMULATOR qemu-aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
