// Programmer mistakes end the process with a sentence; never used for what a peer can cause.
#pragma once

namespace stoa {

[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;
[[noreturn]] void refuse_mistake(const char* sentence) noexcept;

}  // namespace stoa

#define STOA_CHECK(condition) \
    ((condition) ? static_cast<void>(0) : ::stoa::check_failed(#condition, __FILE__, __LINE__))

// A mistake that users make: the sentence says what they did, and what to do instead.
#define STOA_REQUIRE(condition, sentence) \
    ((condition) ? static_cast<void>(0) : ::stoa::refuse_mistake(sentence))
