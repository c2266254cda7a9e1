# SPDX-License-Identifier: Apache-2.0
# One interface target that carries the warnings, sanitizers and library features of every target of the house. Files have
# 64-bit sizes and inode numbers on 32-bit systems as well; without, large ones cannot be opened there.
add_library(pinion_warnings INTERFACE)
target_compile_options(pinion_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wvla -Wstrict-prototypes
  -Wmissing-prototypes -Wcast-align -Wdouble-promotion)
if(PINION_WERROR)
  target_compile_options(pinion_warnings INTERFACE -Werror)
endif()
target_compile_definitions(pinion_warnings INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
if(PINION_SANITIZE)
  target_compile_options(pinion_warnings INTERFACE -fsanitize=${PINION_SANITIZE} -fno-omit-frame-pointer -g
    -fno-sanitize-recover=all)
  target_link_options(pinion_warnings INTERFACE -fsanitize=${PINION_SANITIZE})
endif()
