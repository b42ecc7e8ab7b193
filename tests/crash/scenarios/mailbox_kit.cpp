#include "tests/crash/scenarios/mailbox_kit.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <csignal>

#include "stoa/base/check.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"

namespace stoa::crash {

sys::Fd another(const sys::Fd& file) {
    const int fd = ::fcntl(file.get(), F_DUPFD_CLOEXEC, 0);
    STOA_CHECK(fd >= 0);
    return sys::Fd{fd};
}

RawMailbox open(const sys::Fd& file, ::stoa::Role role, bool stands_by) {
    const OpenOptions options{.role = role, .waiting = Waiting::park, .stand_by = stands_by};
    return RawMailbox::attach(another(file), options).value();
}

std::array<std::byte, kBytes> message(std::uint64_t number) {
    std::array<std::byte, kBytes> bytes{};
    write_payload(bytes, number);
    return bytes;
}

bool send(RawMailbox& box, std::uint64_t number) {
    return box.try_send(message(number)).has_value();
}

void die(const sys::Fd& file, ::stoa::Role role, const std::function<void(RawMailbox&)>& body) {
    const kit::Ending ending = kit::fork_and_run([&] {
        RawMailbox box = open(file, role);
        body(box);
    });
    STOA_CHECK(ending.signal == SIGKILL);
}

void die_at(const char* point, const sys::Fd& file, const std::function<void(RawMailbox&)>& body) {
    die(file, ::stoa::Role::both, [&](RawMailbox& box) {
        kit::kill_self_at(point);
        body(box);
    });
}

std::span<std::byte> map_whole(const sys::Fd& file) {
    struct ::stat facts{};
    STOA_CHECK(::fstat(file.get(), &facts) == 0);
    const auto bytes = static_cast<std::size_t>(facts.st_size);
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    STOA_CHECK(at != MAP_FAILED);
    return {static_cast<std::byte*>(at), bytes};
}

}  // namespace stoa::crash
