include(CMakePackageConfigHelpers)

set(BACKSTOP_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/backstop" CACHE STRING
  "Where the CMake package is installed, below the prefix")

install(TARGETS backstop EXPORT backstop-targets
  RUNTIME COMPONENT backstop_Runtime
  LIBRARY COMPONENT backstop_Runtime NAMELINK_COMPONENT backstop_Development
  ARCHIVE COMPONENT backstop_Development
  FILE_SET HEADERS COMPONENT backstop_Development
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(BACKSTOP_BUILD_TOOLS)
  install(TARGETS backstop-chat backstop-faults COMPONENT backstop_Tools)
  # For tests of applications: <backstop/faults/fault_server.hpp>
  install(TARGETS backstop-fault-server EXPORT backstop-targets ARCHIVE COMPONENT backstop_Tools
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(DIRECTORY examples/support/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/backstop/faults
    COMPONENT backstop_Tools FILES_MATCHING PATTERN "*.hpp")
endif()
install(EXPORT backstop-targets NAMESPACE backstop::
  DESTINATION ${BACKSTOP_INSTALL_CMAKEDIR} COMPONENT backstop_Development)

configure_package_config_file(cmake/backstop-config.cmake.in backstop-config.cmake
  INSTALL_DESTINATION ${BACKSTOP_INSTALL_CMAKEDIR} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(backstop-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/backstop-config.cmake" "${PROJECT_BINARY_DIR}/backstop-config-version.cmake"
  DESTINATION ${BACKSTOP_INSTALL_CMAKEDIR} COMPONENT backstop_Development)

# For builds without CMake. What a static library needs is needed by those who link it.
set(pc_libraries "libcurl >= 7.88, simdjson >= 3, zlib >= 1.2.11")
if(BACKSTOP_WITH_OPENSSL)
  string(APPEND pc_libraries ", libcrypto >= 3")
endif()
set(pc_requires "nlohmann_json >= 3.11, fmt >= 9")
set(pc_requires_private "${pc_libraries}")
set(pc_cflags "")
if(NOT BUILD_SHARED_LIBS)
  string(APPEND pc_requires ", ${pc_libraries}")
  set(pc_requires_private "")
  set(pc_cflags " -DBACKSTOP_STATIC_DEFINE")
endif()
# Relative to itself, so that `cmake --install --prefix` may choose another place.
file(RELATIVE_PATH pc_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/backstop.pc.in backstop.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/backstop.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT backstop_Development)
if(BACKSTOP_BUILD_TOOLS)
  configure_file(cmake/backstop-fault-server.pc.in backstop-fault-server.pc @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/backstop-fault-server.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
    COMPONENT backstop_Tools)
endif()
include(cmake/pages.cmake)
