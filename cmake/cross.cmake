# SPDX-License-Identifier: Apache-2.0
# What the toolchain files of both ARM targets share: Debian's cross compiler for the triplet PINION_CROSS, libraries of
# that architecture in the folder PINION_SYSROOT of the environment (scripts/cross.sh fills it), and qemu-user to run
# what was built.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_C_COMPILER ${PINION_CROSS}-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE ${PINION_CROSS})
set(CMAKE_FIND_ROOT_PATH $ENV{PINION_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(pinion_libraries $ENV{PINION_SYSROOT}/usr/lib/${PINION_CROSS})
set(ENV{PKG_CONFIG_LIBDIR} "${pinion_libraries}/pkgconfig:$ENV{PINION_SYSROOT}/usr/share/pkgconfig")
set(ENV{PKG_CONFIG_SYSROOT_DIR} $ENV{PINION_SYSROOT})
set(CMAKE_C_FLAGS_INIT "${PINION_CROSS_FLAGS} -isystem $ENV{PINION_SYSROOT}/usr/include/${PINION_CROSS}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${pinion_libraries}")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-Wl,-rpath-link,${pinion_libraries}")
set(CMAKE_CROSSCOMPILING_EMULATOR ${PINION_CROSS_EMULATOR};-L;/usr/${PINION_CROSS};-E;LD_LIBRARY_PATH=${pinion_libraries}:/usr/${PINION_CROSS}/lib)
