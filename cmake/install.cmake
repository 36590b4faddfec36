include(CMakePackageConfigHelpers)

set(BACKSTOP_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/backstop" CACHE STRING
  "Where the CMake package is installed, below the prefix")

install(TARGETS backstop EXPORT backstop-targets
  RUNTIME COMPONENT backstop_Runtime
  LIBRARY COMPONENT backstop_Runtime NAMELINK_COMPONENT backstop_Development
  ARCHIVE COMPONENT backstop_Development
  FILE_SET HEADERS COMPONENT backstop_Development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT backstop-targets NAMESPACE backstop::
  DESTINATION ${BACKSTOP_INSTALL_CMAKEDIR} COMPONENT backstop_Development)

configure_package_config_file(cmake/backstop-config.cmake.in backstop-config.cmake
  INSTALL_DESTINATION ${BACKSTOP_INSTALL_CMAKEDIR} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(backstop-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/backstop-config.cmake" "${PROJECT_BINARY_DIR}/backstop-config-version.cmake"
  DESTINATION ${BACKSTOP_INSTALL_CMAKEDIR} COMPONENT backstop_Development)
