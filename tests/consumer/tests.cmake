# The library as others use it: installed and found, and as a folder of another build.
set(consumer_dir "${CMAKE_CURRENT_BINARY_DIR}/consumer")

add_test(NAME consumer.install COMMAND "${CMAKE_COMMAND}" --install "${PROJECT_BINARY_DIR}" --config $<CONFIG>
  --prefix "${consumer_dir}/prefix")
set_tests_properties(consumer.install PROPERTIES LABELS consumer FIXTURES_SETUP installed)

function(add_consumer_test name)
  add_test(NAME consumer.${name} COMMAND "${CMAKE_CTEST_COMMAND}"
    --build-and-test "${CMAKE_CURRENT_SOURCE_DIR}/consumer" "${consumer_dir}/${name}"
    --build-generator "${CMAKE_GENERATOR}" --build-makeprogram "${CMAKE_MAKE_PROGRAM}" --build-target consumer
    --build-options
      "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}" "-DCMAKE_CXX_FLAGS=${CMAKE_CXX_FLAGS}"
      "-DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE}" "-DBUILD_SHARED_LIBS=${BUILD_SHARED_LIBS}" ${ARGN}
    --test-command "${consumer_dir}/${name}/consumer")
  set_tests_properties(consumer.${name} PROPERTIES LABELS consumer TIMEOUT 900)
endfunction()

add_consumer_test(find_package "-DCMAKE_PREFIX_PATH=${consumer_dir}/prefix")
set_tests_properties(consumer.find_package PROPERTIES FIXTURES_REQUIRED installed)

# With the flags of this build, so that a compiler cache has the objects already.
add_consumer_test(add_subdirectory "-DBACKSTOP_SUBDIRECTORY=${PROJECT_SOURCE_DIR}"
  -DBACKSTOP_WARNINGS=${BACKSTOP_WARNINGS} -DCMAKE_COMPILE_WARNING_AS_ERROR=${CMAKE_COMPILE_WARNING_AS_ERROR})

# The same without CMake.
find_program(pkg_config NAMES pkg-config pkgconf)
if(NOT pkg_config)
  add_test(NAME consumer.pkg_config COMMAND "${CMAKE_COMMAND}" -E echo "SKIPPED: there is no pkg-config")
  set_tests_properties(consumer.pkg_config PROPERTIES LABELS consumer SKIP_REGULAR_EXPRESSION "^SKIPPED")
else()
  set(compile "c++ -std=c++20 '${CMAKE_CURRENT_SOURCE_DIR}/consumer/main.cpp' -o '${consumer_dir}/by-pkg-config'")
  add_test(NAME consumer.pkg_config COMMAND sh -c
    "${compile} $(\"${pkg_config}\" --cflags --libs backstop) && '${consumer_dir}/by-pkg-config'")
  set_tests_properties(consumer.pkg_config PROPERTIES LABELS consumer TIMEOUT 300 FIXTURES_REQUIRED installed
    ENVIRONMENT "PKG_CONFIG_PATH=${consumer_dir}/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  if(BACKSTOP_BUILD_TOOLS)
    set(compile "c++ -std=c++20 -DWITH_FAULTS '${CMAKE_CURRENT_SOURCE_DIR}/consumer/main.cpp'")
    string(APPEND compile " '${CMAKE_CURRENT_SOURCE_DIR}/consumer/with_faults.cpp' -o '${consumer_dir}/with-faults'")
    add_test(NAME consumer.pkg_config_faults COMMAND sh -c
      "${compile} $(\"${pkg_config}\" --cflags --libs backstop backstop-fault-server) && '${consumer_dir}/with-faults'")
    set_tests_properties(consumer.pkg_config_faults PROPERTIES LABELS consumer TIMEOUT 300 FIXTURES_REQUIRED installed
      ENVIRONMENT "PKG_CONFIG_PATH=${consumer_dir}/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  endif()
endif()

find_package(Python3 3.9 COMPONENTS Interpreter)
if(Python3_FOUND)
  add_test(NAME consumer.pages COMMAND "${Python3_EXECUTABLE}" -B "${CMAKE_CURRENT_SOURCE_DIR}/checks/installed_pages.py"
    "${consumer_dir}/prefix" "${consumer_dir}/prefix/${CMAKE_INSTALL_DOCDIR}")
  set_tests_properties(consumer.pages PROPERTIES LABELS consumer TIMEOUT 60 FIXTURES_REQUIRED installed)
endif()
