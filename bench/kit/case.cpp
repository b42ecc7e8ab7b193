#include "bench/kit/case.hpp"

namespace stoa::bench {

std::string_view name(Workload workload) noexcept {
    switch (workload) {
        case Workload::round_trip: return "round_trip";
        case Workload::one_way: return "one_way";
        case Workload::many_to_many: return "many_to_many";
        case Workload::broadcast: return "broadcast";
        case Workload::waiting: return "waiting";
        case Workload::loan: return "loan";
        case Workload::policies: return "policies";
        case Workload::answered: return "answered";
        case Workload::mailboxes: return "mailboxes";
        case Workload::heap: return "heap";
        case Workload::newest: return "newest";
        case Workload::attach: return "attach";
        case Workload::locks: return "locks";
    }
    return "?";
}

std::string_view name(Mode mode) noexcept {
    switch (mode) {
        case Mode::spin: return "spin";
        case Mode::adaptive: return "adaptive";
        case Mode::park: return "park";
        case Mode::single: return "single";
        case Mode::batch: return "batch";
        case Mode::four_pairs: return "four_pairs";
        case Mode::beside_busy: return "beside_busy";
        case Mode::reads: return "reads";
        case Mode::writes: return "writes";
        case Mode::reads_beside: return "reads_beside";
        case Mode::one_core: return "one_core";
    }
    return "?";
}

std::string_view name(Part part) noexcept {
    switch (part) {
        case Part::client: return "client";
        case Part::server: return "server";
        case Part::sender: return "sender";
        case Part::receiver: return "receiver";
        case Part::busy: return "busy loop";
    }
    return "?";
}

std::string size_text(std::size_t bytes) {
    if (bytes >= 1U << 20U && bytes % (1U << 20U) == 0)
        return std::to_string(bytes >> 20U) + " MiB";
    if (bytes >= 1U << 10U && bytes % (1U << 10U) == 0)
        return std::to_string(bytes >> 10U) + " KiB";
    return std::to_string(bytes) + " B";
}

std::string describe(const Case& c) {
    return std::string{name(c.workload)} + " " + std::string{name(c.mode)} + " " +
           size_text(c.bytes);
}

}  // namespace stoa::bench
