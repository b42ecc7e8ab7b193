#include "stoa/sys/random.hpp"

#include <sys/random.h>

#include "stoa/sys/errno.hpp"

namespace stoa::sys {

Result<std::uint64_t> random_word() noexcept {
    std::uint64_t word = 0;
    for (;;) {
        const ssize_t length = ::getrandom(&word, sizeof word, 0);
        if (length == sizeof word) return word;  // so few come whole
        if (length < 0 && errno != EINTR) return fail_errno("getrandom");
    }
}

}  // namespace stoa::sys
