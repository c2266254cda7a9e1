# SPDX-License-Identifier: Apache-2.0
# One interface target that carries the warnings and sanitizers of every target of the house.
add_library(pinion_warnings INTERFACE)
target_compile_options(pinion_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wvla -Wstrict-prototypes
  -Wmissing-prototypes -Wcast-align -Wdouble-promotion)
if(PINION_WERROR)
  target_compile_options(pinion_warnings INTERFACE -Werror)
endif()
target_compile_definitions(pinion_warnings INTERFACE _GNU_SOURCE)
if(PINION_SANITIZE)
  target_compile_options(pinion_warnings INTERFACE -fsanitize=${PINION_SANITIZE} -fno-omit-frame-pointer -g
    -fno-sanitize-recover=all)
  target_link_options(pinion_warnings INTERFACE -fsanitize=${PINION_SANITIZE})
endif()
