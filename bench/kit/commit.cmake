# Writes commit.hpp when the commit or the flags have changed; runs at every build.
cmake_policy(VERSION 3.25)
execute_process(COMMAND git -C "${SOURCE}" rev-parse --short HEAD
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND git -C "${SOURCE}" status --porcelain --untracked-files=no
    OUTPUT_VARIABLE changes OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
    set(commit "unknown")
elseif(changes)
    string(APPEND commit "+changes")
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" CONTENT "#pragma once
namespace stoa::bench {
inline constexpr const char* kCommit = \"${commit}\";
inline constexpr const char* kBuildFlags = \"${FLAGS}\";
}  // namespace stoa::bench
")
