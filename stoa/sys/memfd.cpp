#include "stoa/sys/memfd.hpp"

#include <fcntl.h>
#include <sys/mman.h>

namespace stoa::sys {

Result<Fd> make_memory(const char* label) noexcept {
    const int number = ::memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (number < 0) return fail_errno("memfd_create");
    return Fd{number};
}

Result<Fd> duplicate(const Fd& file) noexcept {
    const int number = ::fcntl(file.get(), F_DUPFD_CLOEXEC, 0);
    if (number < 0) return fail_errno("dup");
    return Fd{number};
}

}  // namespace stoa::sys
