// Which process group each worker's COMMAND is, so that the head can end all of it when the worker
// dies: the kernel kills only COMMAND itself.
//
// A word {serial of the worker, group} for each place of the crew, in shared memory. It names a
// group only while the group's first process was not reaped: the worker clears it before it reaps,
// and the head, to whom the orphans of a dead worker fall, kills the group before it reaps. So the
// number cannot have gone to somebody else.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>

#include "stoa/base/atomic.hpp"
#include "stoa/sys/mapping.hpp"

namespace stoa::cli::farm {

class Groups {
public:
    [[nodiscard]] static Result<Groups> create(std::uint32_t places) {
        Result<sys::Mapping> memory = sys::map_anonymous_shared(places * sizeof(Word));
        if (!memory) return std::unexpected(memory.error());
        return Groups{std::move(*memory), places};
    }

    // The head, before it starts the worker.
    void assign(std::uint32_t place, std::uint32_t serial) noexcept {
        word(place).store(pack(serial, 0), kSeqCst);
    }
    // The first process of the group, before exec. False: its worker is dead and replaced.
    [[nodiscard]] bool enter(std::uint32_t place, std::uint32_t serial, pid_t group) noexcept {
        std::uint64_t none = pack(serial, 0);
        return word(place).compare_exchange_strong(none, pack(serial, group), kSeqCst);
    }
    // The worker, when it has seen the end of COMMAND and before it reaps it.
    void leave(std::uint32_t place, std::uint32_t serial) noexcept { assign(place, serial); }

    // The head, when the worker of this place is dead.
    void end(std::uint32_t place) noexcept {
        const std::uint64_t now = word(place).load(kSeqCst);
        if (const pid_t group = group_in(now); group > 1) (void)::kill(-group, SIGKILL);
        assign(place, static_cast<std::uint32_t>(now >> 32U));
    }
    // The place whose word names this group.
    [[nodiscard]] std::optional<std::uint32_t> place_of(pid_t group) const noexcept {
        for (std::uint32_t place = 0; place < places_; ++place) {
            if (group_in(word(place).load(kSeqCst)) == group) return place;
        }
        return std::nullopt;
    }

private:
    using Word = Atomic<std::uint64_t>;

    Groups(sys::Mapping memory, std::uint32_t places)
        : memory_{std::move(memory)}, places_{places} {}
    [[nodiscard]] static std::uint64_t pack(std::uint32_t serial, pid_t group) noexcept {
        return std::uint64_t{serial} << 32U | static_cast<std::uint32_t>(group);
    }
    [[nodiscard]] static pid_t group_in(std::uint64_t word) noexcept {
        return static_cast<pid_t>(word & 0xffffffffU);
    }
    [[nodiscard]] Word& word(std::uint32_t place) const noexcept {
        return *(reinterpret_cast<Word*>(memory_.bytes().data()) + place);
    }

    sys::Mapping memory_;
    std::uint32_t places_;
};

}  // namespace stoa::cli::farm
