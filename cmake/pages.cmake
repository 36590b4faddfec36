# The pages as they are installed. Headers stand elsewhere then, and `.github` is left out, so links to these are written
# anew; the others lead to what is installed as it stands here.
set(pages README.md .github/CHANGELOG.md .github/CONTRIBUTING.md .github/SECURITY.md examples/README.md
  examples/features.md examples/coming-from.md examples/policies/README.md src/providers/README.md tests/README.md
  tests/mutation/README.md tests/stacks/README.md)
file(RELATIVE_PATH to_headers "${CMAKE_INSTALL_FULL_DOCDIR}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")

foreach(page IN LISTS pages)
  if(NOT EXISTS "${PROJECT_SOURCE_DIR}/${page}")
    continue()  # packages of the sources may come without these
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${page}")
  file(READ "${PROJECT_SOURCE_DIR}/${page}" text)
  string(REGEX REPLACE "\\]\\(((\\.\\./)*)include/" "](\\1${to_headers}/" text "${text}")
  string(REGEX REPLACE "\\]\\(((\\.\\./)*)\\.github/" "](\\1" text "${text}")
  string(REPLACE ".github/" "" page "${page}")
  file(WRITE "${PROJECT_BINARY_DIR}/pages/${page}" "${text}")
  cmake_path(GET page PARENT_PATH folder)
  install(FILES "${PROJECT_BINARY_DIR}/pages/${page}" DESTINATION "${CMAKE_INSTALL_DOCDIR}/${folder}"
    COMPONENT backstop_Development)
endforeach()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT backstop_Development)
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT backstop_Development OPTIONAL
  FILES_MATCHING PATTERN "*.cpp" PATTERN "*.hpp" PATTERN "*.json"
  PATTERN "support" EXCLUDE)  # those headers are <backstop/faults/...>
