# What backstop's own targets have in common.

function(backstop_target_warnings target)
  # g++ takes the files of a unity build for headers, in which a type that is local to the file would be a mistake.
  target_compile_options(${target} PRIVATE
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>>:-Wno-subobject-linkage>)
  if(NOT BACKSTOP_WARNINGS)
    return()
  endif()
  if(MSVC)
    target_compile_options(${target} PRIVATE /W4 /permissive-)
  else()
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor)
  endif()
endfunction()

# The rooms that are compiled as one file with CMAKE_UNITY_BUILD, so that the headers they share are read once; any other
# room is one by itself. Which files see each other does not depend on how many there are, and names that are local to a
# file have to differ within a group only; checks/unity.py says which do not.
set(backstop_unity_groups
  "core: . call catalog chat fallback_client process runtime state text"
  "choosing: handover observe policies routing schema"
  "files: app config json testing"
  "reaching: providers/failure providers/function providers/http providers/wire"
  "wires: providers/cohere providers/gemini providers/openai_chat providers/vertex"
  "more_wires: providers/anthropic providers/bedrock providers/ollama providers/openai_responses")

function(backstop_group_by_room target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP)
  foreach(source IN LISTS ARGN)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/src" OUTPUT_VARIABLE file)
    string(REGEX MATCH "^((providers/)?[^/]+)/" matched "${file}")
    set(room ".")
    if(matched)
      set(room "${CMAKE_MATCH_1}")
    endif()
    set(group "${room}")
    foreach(row IN LISTS backstop_unity_groups)
      string(REGEX MATCHALL "[^ ]+" words "${row}")
      if(room IN_LIST words)
        string(REGEX REPLACE ":.*" "" group "${row}")
      endif()
    endforeach()
    string(MAKE_C_IDENTIFIER "${group}" group)
    set_source_files_properties("${source}" TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP "${group}")
  endforeach()
endfunction()

# A target that is compiled from the library's sources.
function(backstop_define_library target)
  target_sources(${target} PRIVATE ${sources})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target}
    PUBLIC nlohmann_json::nlohmann_json fmt::fmt Threads::Threads
    PRIVATE CURL::libcurl simdjson::simdjson ZLIB::ZLIB)
  if(BACKSTOP_WITH_JSON_SCHEMA_VALIDATOR)
    target_link_libraries(${target} PRIVATE nlohmann_json_schema_validator::validator)
  endif()
  if(BACKSTOP_WITH_OPENSSL)
    target_link_libraries(${target} PRIVATE OpenSSL::Crypto)
  endif()
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)  # the static library goes into plug-ins and modules, too
  backstop_target_warnings(${target})
  if(NOT MSVC)
    # The names of other files are in sight in a unity build; who compiles file by file (`dev`) is told what is shadowed.
    target_compile_options(${target} PRIVATE $<$<BOOL:$<TARGET_PROPERTY:UNITY_BUILD>>:-Wno-shadow>)
  endif()
  backstop_group_by_room(${target} ${sources})
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
