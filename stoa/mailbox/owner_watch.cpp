#include "stoa/mailbox/owner_watch.hpp"

#include "stoa/sys/cpu.hpp"

namespace stoa {
namespace {

// At most 20 us at 2.5 GHz: a loop that sends without a pause asks so seldom that it does not feel
// it, and nobody can learn of a death and call within that time: a kill and a wait(2) take longer.
constexpr std::uint64_t kAskAgainTicks = 50'000;

}  // namespace

Result<std::unique_ptr<OwnerWatch>> OwnerWatch::of(const sys::Identity& owner) {
    const Result<sys::Identity> own = sys::self();
    if (!own) return std::unexpected(own.error());
    if (owner == *own) return nullptr;
    Result<sys::Fd> process = sys::open_process(owner);
    if (!process) {
        if (process.error().code == Errc::peer_died) return fail(Errc::not_found, "open");
        if (process.error().code == Errc::bad_argument) return fail(Errc::bad_layout, "open");
        if (process.error().code == Errc::not_supported) {
            return fail(Errc::not_supported,
                        "open (its owner lives in another pid namespace, so nobody here would "
                        "learn of its death)");
        }
        return std::unexpected(process.error());
    }
    return std::unique_ptr<OwnerWatch>{new OwnerWatch{owner, std::move(*process)}};
}

bool OwnerWatch::gone() noexcept {
    const std::uint64_t now = sys::processor_ticks();
    if (now - asked_at_ < kAskAgainTicks) return false;  // a clock that went back asks as well
    const bool dead =
        process_.valid() ? sys::ended(process_) : sys::probe(owner_) == sys::Life::dead;
    if (!dead) asked_at_ = now;
    return dead;
}

}  // namespace stoa
