#include "tests/crash/trace.hpp"

#include <algorithm>
#include <cstring>

#include "stoa/base/check.hpp"

namespace stoa::crash {
namespace {

// Remembers memory, and says whether it changed since it was looked at last.
class Watch {
public:
    explicit Watch(std::span<const std::span<const std::byte>> areas) : areas_{areas} {
        for (const std::span<const std::byte> area : areas) {
            seen_.emplace_back(area.begin(), area.end());
        }
    }
    bool changed() {
        bool any = false;
        for (std::size_t k = 0; k < areas_.size(); ++k) {
            if (std::memcmp(seen_[k].data(), areas_[k].data(), areas_[k].size()) == 0) continue;
            std::memcpy(seen_[k].data(), areas_[k].data(), areas_[k].size());
            any = true;
        }
        return any;
    }

private:
    std::span<const std::span<const std::byte>> areas_;
    std::vector<std::vector<std::byte>> seen_;
};

bool is_system_call(std::uintptr_t address) {
    const auto* code = reinterpret_cast<const unsigned char*>(address);  // same code as the tracee
    return code[0] == 0x0f && code[1] == 0x05;
}

}  // namespace

Trace record(Tracee& tracee, std::span<const std::span<const std::byte>> watched,
             const Accesses* accesses) {
    Trace trace;
    Watch watch{watched};
    for (std::uint32_t i = 0;; ++i) {
        const std::uintptr_t address = tracee.address();
        trace.addresses.push_back(address);
        if (accesses != nullptr && accesses->shared(tracee.registers())) trace.touches.push_back(i);
        const bool system_call = is_system_call(address);
        Stop stop = tracee.step();
        if (stop == Stop::asleep) {
            trace.sleeps.push_back(i);
            stop = tracee.wake_up();
        }
        const bool changed = watch.changed();
        if (changed && accesses != nullptr) {
            STOA_CHECK(!trace.touches.empty() && trace.touches.back() == i);
        }
        if (stop == Stop::stepped && changed) trace.changes.push_back(i + 1);
        if (stop == Stop::stepped && (changed || system_call)) {
            trace.telling.push_back(i);
            trace.telling.push_back(i + 1);
        }
        if (stop != Stop::stepped) {
            trace.end = stop;
            break;
        }
    }
    // The marker's own signal is delivered one step after its system call.
    if (trace.end == Stop::finished && trace.addresses.size() > 1) trace.addresses.pop_back();
    const auto beyond = [&](std::uint32_t at) { return at > trace.last(); };
    std::erase_if(trace.telling, beyond);
    std::erase_if(trace.touches, beyond);
    trace.telling.push_back(0);
    trace.telling.push_back(trace.last());
    std::sort(trace.telling.begin(), trace.telling.end());
    const auto repeated = std::unique(trace.telling.begin(), trace.telling.end());
    trace.telling.erase(repeated, trace.telling.end());
    return trace;
}

}  // namespace stoa::crash
