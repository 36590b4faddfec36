# Toolchain: a clang that compiles the library, from 16 on.
find_program(CMAKE_CXX_COMPILER REQUIRED
  NAMES clang++-16 clang++-17 clang++-18 clang++-19 clang++-20 clang++-21 clang++)
# ccache can keep a precompiled header only without the time in it.
set(CMAKE_CXX_FLAGS_INIT "-Xclang -fno-pch-timestamp")
