// Programmer mistakes end the process with a sentence; never used for what a peer can cause.
#pragma once

namespace stoa {

[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace stoa

#define STOA_CHECK(condition) \
    ((condition) ? static_cast<void>(0) : ::stoa::check_failed(#condition, __FILE__, __LINE__))
