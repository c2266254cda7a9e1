# SPDX-License-Identifier: Apache-2.0
# Cross build for 32-bit ARM Linux with hard floating point, for Cortex-A15 (ODROID-XU3/XU4): NEON with VFPv4, whose
# multiply-add is fused.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(PINION_CROSS arm-linux-gnueabihf)
set(PINION_CROSS_FLAGS "-mcpu=cortex-a15 -mfpu=neon-vfpv4 -mfloat-abi=hard")
set(PINION_CROSS_EMULATOR "qemu-arm;-cpu;cortex-a15")
include(${CMAKE_CURRENT_LIST_DIR}/cross.cmake)
