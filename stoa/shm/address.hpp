// Addresses of regions: which back end, and which name there.
//
// Start here: RegionAddress::parse.
// Threads:    values.
// Processes:  not applicable.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   values.
// Units:      not applicable.
// Source:     names of shm_overview(7); keys of sysvipc(7).
//
//   NAME, shm:NAME   a file in the domain's folder (the default)
//   posix:/NAME      what shm_open(3) calls /NAME: other programs see it
//   memfd:, memfd:N  memory without a name; N: a descriptor that this process has
//   file:PATH        a file anywhere, which survives a reboot
//   sysv:NAME        a SysV segment whose key is made from NAME; sysv:0xKEY: that key;
//                    sysv:#ID: that segment
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stoa/base/error.hpp"

namespace stoa {

struct RegionAddress {
    enum class Scheme : std::uint8_t { shm, posix, memfd, file, sysv };
    static constexpr const char* kPosixFolder = "/dev/shm";  // where shm_open(3) has its names

    Scheme scheme = Scheme::shm;
    std::string name{};        // without the scheme; of posix without the slash
    std::string folder{};      // posix and file: where the name is
    std::int32_t key = 0;      // sysv
    std::int32_t number = -1;  // sysv: an id; memfd: a descriptor; -1: none

    // Errors: bad_name
    [[nodiscard]] static Result<RegionAddress> parse(std::string_view text);
    // As it would be written in full.
    [[nodiscard]] std::string text() const;
};

}  // namespace stoa
