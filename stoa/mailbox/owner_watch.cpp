#include "stoa/mailbox/owner_watch.hpp"

#include "stoa/sys/cpu.hpp"

namespace stoa {
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
    if (gone_) return true;
    const std::uint64_t now = sys::processor_ticks();
    const std::uint32_t told = sys::g_deaths_told.load(kRelaxed);
    // A clock that went back asks as well.
    if (now - asked_at_ < g_ask_again_ticks && told == deaths_told_) return false;
    gone_ = process_.valid() ? sys::ended(process_) : sys::probe(owner_) == sys::Life::dead;
    asked_at_ = now;
    deaths_told_ = told;
    return gone_;
}

}  // namespace stoa
