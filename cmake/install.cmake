# SPDX-License-Identifier: Apache-2.0
# cmake --install: headers, both libraries, pkg-config file, CMake package, the command, its man page and completion.
include(CMakePackageConfigHelpers)

install(TARGETS pinion_shared pinion_static EXPORT pinion
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS pinion RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/pinion DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(PINION_MAN_PAGE)
  install(FILES ${PINION_MAN_PAGE} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${PINION_COMPLETION} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME pinion)
endif()

configure_file(${CMAKE_SOURCE_DIR}/cmake/pinion.pc.in ${CMAKE_BINARY_DIR}/pinion.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/pinion.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/pinion)
install(EXPORT pinion NAMESPACE pinion:: FILE pinionTargets.cmake DESTINATION ${package})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/pinionConfig.cmake.in ${CMAKE_BINARY_DIR}/pinionConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/pinionConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/pinionConfig.cmake ${CMAKE_BINARY_DIR}/pinionConfigVersion.cmake DESTINATION ${package})
