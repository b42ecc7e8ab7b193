#include "stoa/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace stoa {

void check_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "stoa: programmer mistake: %s does not hold at %s:%d\n", condition, file,
                 line);
    std::abort();
}

void refuse_mistake(const char* sentence) noexcept {
    std::fprintf(stderr, "stoa: programmer mistake: %s\n", sentence);
    std::abort();
}

}  // namespace stoa
