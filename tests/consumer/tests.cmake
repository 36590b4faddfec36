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
