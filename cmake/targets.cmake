# What backstop's own targets have in common.

function(backstop_target_warnings target)
  if(NOT BACKSTOP_WARNINGS)
    return()
  endif()
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 /permissive-)
  else()
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor)
  endif()
endfunction()

# A target that is compiled from the library's sources.
function(backstop_define_library target)
  target_sources(${target} PRIVATE ${sources})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target}
    PUBLIC nlohmann_json::nlohmann_json fmt::fmt Threads::Threads
    PRIVATE CURL::libcurl simdjson::simdjson ZLIB::ZLIB)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)  # the static library goes into plug-ins and modules, too
  backstop_target_warnings(${target})
endfunction()

# A program of this project from source files; without any (an empty folder) there is no target.
function(backstop_add_program target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  if(NOT arg_SOURCES)
    return()
  endif()
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LINK})
  target_compile_features(${target} PRIVATE cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  backstop_target_warnings(${target})
endfunction()
