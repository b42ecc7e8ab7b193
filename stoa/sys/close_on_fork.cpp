#include "stoa/sys/close_on_fork.hpp"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "stoa/base/check.hpp"

namespace stoa::sys {
namespace {

struct Entry {
    std::uint64_t ticket;
    int number;
};

struct Registry {
    std::mutex mutex;
    std::vector<Entry> entries;
    std::uint64_t last_ticket = 0;  // goes on in a child, so that no ticket has two meanings
};

// Never destroyed: descriptors may be closed after the last destructor of a static object.
Registry& registry() {
    static Registry* const only = [] {
        auto* made = new Registry;
        const auto before = [] { registry().mutex.lock(); };
        const auto in_parent = [] { registry().mutex.unlock(); };
        const auto in_child = [] {
            Registry& mine = registry();
            for (const Entry& entry : mine.entries) (void)::close(entry.number);
            mine.entries.clear();
            mine.mutex.unlock();
        };
        STOA_CHECK(::pthread_atfork(before, in_parent, in_child) == 0);
        return made;
    }();
    return *only;
}

}  // namespace

NoFork::NoFork() noexcept {
    registry().mutex.lock();
}

NoFork::~NoFork() {
    registry().mutex.unlock();
}

void ForkFd::close_on_fork(const NoFork& /*held*/) {
    if (ticket_ != 0) return;
    Registry& all = registry();
    ticket_ = ++all.last_ticket;
    all.entries.push_back({ticket_, fd_.get()});
}

ForkFd& ForkFd::operator=(ForkFd&& other) noexcept {
    if (this != &other) {
        close_now();
        fd_ = std::move(other.fd_);
        ticket_ = std::exchange(other.ticket_, 0);
    }
    return *this;
}

void ForkFd::close_now() noexcept {
    if (ticket_ == 0) {
        fd_ = Fd{};
        return;
    }
    const std::uint64_t ticket = std::exchange(ticket_, 0);
    Registry& all = registry();
    // Held until it is closed: a child forked between the two would keep a copy.
    const std::lock_guard lock{all.mutex};
    const auto same = [&](const Entry& entry) { return entry.ticket == ticket; };
    // A fork has closed it in this process: the number may be another file's by now.
    if (std::erase_if(all.entries, same) == 0) (void)fd_.release();
    fd_ = Fd{};
}

}  // namespace stoa::sys
