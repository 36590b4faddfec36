# What a build needs, how to see that it is there, and which Debian package brings it.

# program:NAMES or file:PATTERNS (commas between alternatives) or header:FILE | Debian's package | what it is
set(library_requirements
  "program:c++,g++,clang++|g++|a C++20 compiler (g++ 12 or newer, clang 16 or newer)"
  "program:ninja|ninja-build|Ninja"
  "header:curl/curl.h|libcurl4-openssl-dev|libcurl 7.88 or newer"
  "header:nlohmann/json.hpp|nlohmann-json3-dev|nlohmann/json 3.11 or newer"
  "header:fmt/core.h|libfmt-dev|fmt 9 or newer"
  "header:simdjson.h|libsimdjson-dev|simdjson 3 or newer"
  "header:zlib.h|zlib1g-dev|zlib 1.2.11 or newer")
set(test_requirements
  "header:catch2/catch_all.hpp|catch2|Catch2 3"
  "header:openssl/hmac.h|libssl-dev|OpenSSL 3"
  "program:ccache|ccache|ccache"
  "program:python3|python3|Python 3"
  "program:pip3|python3-pip|pip")
# Whose tests skip where they are missing.
set(optional_test_requirements
  "header:asio.hpp|libasio-dev|standalone Asio"
  "program:jsonschema_suite|json-schema-test-suite|the JSON-Schema-Test-Suite"
  "program:pkg-config,pkgconf|pkg-config|pkg-config")
set(ollama_requirements
  "header:stb/stb_image.h|libstb-dev|stb, which Ollama is built with")
set(clang_requirements
  "program:clang++-16,clang++-17,clang++-18,clang++-19,clang++-20,clang++-21|clang|clang 16 or newer")

set(fuzz_requirements
  "file:/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a,/usr/lib/clang/*/lib/*/libclang_rt.fuzzer*.a|libclang-rt-dev|libFuzzer, of clang's compiler-rt")

function(is_there probe result)
  string(REGEX MATCH "^([a-z]+):(.*)$" matched "${probe}")
  set(kind "${CMAKE_MATCH_1}")
  string(REPLACE "," ";" names "${CMAKE_MATCH_2}")
  unset(found)
  if(kind STREQUAL "program")
    find_program(found NAMES ${names} NO_CACHE)
  elseif(kind STREQUAL "file")
    file(GLOB found ${names})
  else()
    file(GLOB multiarch "/usr/include/*-linux-gnu*")
    find_path(found NAMES ${names} NO_CACHE
      PATHS ${multiarch} /usr/include /usr/local/include /opt/homebrew/include ENV CMAKE_PREFIX_PATH PATH_SUFFIXES include)
  endif()
  if(found)
    set(${result} TRUE PARENT_SCOPE)
  else()
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()

# Go in a version that builds Ollama, or nothing.
function(find_go result)
  find_program(go go NO_CACHE)
  if(go)
    execute_process(COMMAND "${go}" env GOVERSION OUTPUT_VARIABLE version ERROR_QUIET)
    if(NOT version MATCHES "^go([0-9.]+)" OR CMAKE_MATCH_1 VERSION_LESS 1.24.1)
      unset(go)
    endif()
  endif()
  set(${result} "${go}" PARENT_SCOPE)
endfunction()

# The rows that are not there.
function(find_missing result)
  set(missing "")
  foreach(row IN LISTS ARGN)
    string(REGEX REPLACE "\\|.*" "" probe "${row}")
    is_there("${probe}" there)
    if(NOT there)
      list(APPEND missing "${row}")
    endif()
  endforeach()
  set(${result} "${missing}" PARENT_SCOPE)
endfunction()

# "what it is (package)" on a line each.
function(describe result)
  list(TRANSFORM ARGN REPLACE "^[^|]*\\|([^|]*)\\|(.*)$" "  - \\2 (Debian: \\1)" OUTPUT_VARIABLE lines)
  string(JOIN "\n" text ${lines})
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

# `may_fail` of the caller: MAY_FAIL and a variable, or nothing.
function(install_with_apt)
  set(packages "")
  foreach(row IN LISTS ARGN)
    string(REGEX REPLACE "^[^|]*\\|([^|]*)\\|.*$" "\\1" package "${row}")
    list(APPEND packages ${package})
  endforeach()

  set(apt apt-get)
  execute_process(COMMAND id -u OUTPUT_VARIABLE user OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT user EQUAL 0)
    find_program(sudo sudo NO_CACHE)
    if(NOT sudo AND may_fail)
      return()
    elseif(NOT sudo)
      describe(text ${ARGN})
      message(FATAL_ERROR "Missing, and neither root nor sudo is there to install it:\n${text}")
    endif()
    set(apt sudo apt-get)
  endif()

  # Debian 12: plain clang is 14, and Catch2 3 is among the backports, which are added for these commands only.
  file(STRINGS /etc/os-release debian_12 REGEX "^VERSION_CODENAME=bookworm$")
  if(debian_12)
    list(TRANSFORM packages REPLACE "^clang$" "clang-16;libclang-rt-16-dev")
    list(TRANSFORM packages REPLACE "^libclang-rt-dev$" "libclang-rt-16-dev")
    if("catch2" IN_LIST packages)
      list(TRANSFORM packages REPLACE "^catch2$" "libcatch2-dev")
      set(folder "${build_dir}/apt/sources.list.d")
      run(COMMAND python3 cmake/go/backports.py "${folder}")
      list(APPEND apt -o "Dir::Etc::SourceParts=${folder}")
    endif()
  endif()

  set(ENV{DEBIAN_FRONTEND} noninteractive)
  run(COMMAND ${apt} update ${may_fail})
  run(COMMAND ${apt} install --yes --no-install-recommends ${packages} ${may_fail})
endfunction()

# Sees to it that everything is there that the goal (a preset's name) needs.
function(install_requirements goal)
  set(rows ${library_requirements})
  if(NOT goal STREQUAL "quickstart")
    list(APPEND rows ${test_requirements})
  endif()
  if(goal MATCHES "^(clang|fuzz)$")
    list(APPEND rows ${clang_requirements})
  endif()
  if(goal STREQUAL "fuzz")
    list(APPEND rows ${fuzz_requirements})
  endif()
  find_program(apt_get apt-get NO_CACHE)
  find_go(go)
  if(go AND NOT goal MATCHES "^(quickstart|fuzz)$")  # else nobody needs it
    list(APPEND optional_test_requirements ${ollama_requirements})
  endif()
  find_missing(optional ${optional_test_requirements})
  if(optional AND apt_get AND NOT goal STREQUAL "quickstart")
    describe(text ${optional})
    message(NOTICE "Missing, and not needed (its tests skip):\n${text}")
    set(may_fail MAY_FAIL ignored)
    install_with_apt(${optional})
    unset(may_fail)
  endif()

  find_missing(missing ${rows})
  if(NOT missing)
    return()
  endif()

  describe(text ${missing})
  if(NOT apt_get)
    message(FATAL_ERROR "These are missing and there is no apt-get to install them with. Install them, then run this again:\n"
      "${text}\n"
      "If they are installed where this script does not look, call: cmake --workflow --preset ${goal}")
  endif()
  message(NOTICE "Missing:\n${text}")
  install_with_apt(${missing})

  find_missing(missing ${missing})
  if(missing)
    describe(text ${missing})
    message(FATAL_ERROR "Still missing after the installation; this system's packages may be too old:\n${text}")
  endif()
endfunction()
