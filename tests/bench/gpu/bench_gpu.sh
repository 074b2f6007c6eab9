#!/bin/sh
# The group gpu of ./dev bench, made by CMake.
exec "@PROJECT_SOURCE_DIR@/kernels/bench/measure" "@CMAKE_BINARY_DIR@/bin" --json
