#include "stoa/sys/errno.hpp"

#include <cerrno>

namespace stoa::sys {
namespace {

Errc code_of(int os_errno) noexcept {
    switch (os_errno) {
        case ENOENT: return Errc::not_found;
        case EEXIST: return Errc::exists;
        case EACCES:
        case EPERM:
        case EROFS: return Errc::denied;
        case ENOSPC:
        case EDQUOT: return Errc::out_of_space;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case EFBIG: return Errc::limit_reached;
        case ELOOP:
        case EISDIR:
        case ENXIO: return Errc::bad_layout;
        case ENAMETOOLONG: return Errc::bad_name;
        case ETIMEDOUT: return Errc::timed_out;
        case EOPNOTSUPP:
        case ENOSYS: return Errc::not_supported;
        default: return Errc::os;
    }
}

}  // namespace

Error error_from_errno(int os_errno, const char* step) noexcept {
    return Error{code_of(os_errno), os_errno, step};
}

std::unexpected<Error> fail_errno(const char* step) noexcept {
    return std::unexpected(error_from_errno(errno, step));
}

}  // namespace stoa::sys
