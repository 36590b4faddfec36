# A program per fuzz target (targets.hpp), each with a corpus and a dictionary of its own. As tests they run for a few
# seconds; by hand, with what is found kept in a folder:
#
#   build/fuzz/bin/backstop-fuzz-sse -dict=tests/fuzz/dictionaries/sse.dict found tests/fuzz/corpus/sse
#
# What fails is written to build/fuzz/failed. Mended, it becomes a file of the corpus, which the test `fuzz.fuzz`
# replays in every other build.
set(BACKSTOP_FUZZ_SECONDS 5 CACHE STRING "How long each fuzzer runs as a test")

file(GLOB fuzz_sources CONFIGURE_DEPENDS fuzz/*.cpp)
list(FILTER fuzz_sources EXCLUDE REGEX "/fuzz_test\\.cpp$|/fuzzer\\.cpp$")
add_library(backstop-fuzz-targets STATIC ${fuzz_sources})
target_include_directories(backstop-fuzz-targets PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/src")
target_link_libraries(backstop-fuzz-targets PUBLIC ${library} backstop-fault-server simdjson::simdjson ZLIB::ZLIB)
backstop_target_warnings(backstop-fuzz-targets)

file(GLOB fuzz_names RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus" CONFIGURE_DEPENDS fuzz/corpus/*)
foreach(name IN LISTS fuzz_names)
  backstop_add_program(backstop-fuzz-${name} SOURCES fuzz/fuzzer.cpp LINK backstop-fuzz-targets)
  target_compile_definitions(backstop-fuzz-${name} PRIVATE BACKSTOP_FUZZ_TARGET=${name})
  target_link_options(backstop-fuzz-${name} PRIVATE -fsanitize=fuzzer)
  set(found "${PROJECT_BINARY_DIR}/found/${name}")
  set(failed "${PROJECT_BINARY_DIR}/failed/${name}")
  file(MAKE_DIRECTORY "${found}" "${failed}")
  add_test(NAME fuzz.${name} COMMAND backstop-fuzz-${name} -max_total_time=${BACKSTOP_FUZZ_SECONDS} -timeout=20
    -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 "-artifact_prefix=${failed}/"
    "-dict=${CMAKE_CURRENT_SOURCE_DIR}/fuzz/dictionaries/${name}.dict" "${found}"
    "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name}")
  set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 300)
endforeach()
