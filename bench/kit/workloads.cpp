#include "bench/kit/workloads.hpp"

namespace stoa::bench {

namespace {

constexpr std::size_t kKiB = 1024;

std::vector<std::vector<Case>> grid(Workload workload, const std::vector<std::size_t>& sizes,
                                    const std::vector<Mode>& modes) {
    std::vector<std::vector<Case>> groups;
    for (const std::size_t bytes : sizes) {
        auto& group = groups.emplace_back();
        for (const Mode mode : modes) {
            if (mode == Mode::batch && bytes > kKiB) continue;  // one such message fills a batch
            group.push_back({.workload = workload, .mode = mode, .bytes = bytes});
        }
    }
    return groups;
}

}  // namespace

const std::vector<Question>& questions() {
    static const std::vector<Question> list{
        {Workload::round_trip,
         "what does one message cost there and back, every byte written and read by both sides?",
         "opening and closing; several messages in flight",
         "spinning, about two moves of a cache line and the copying; parked, two wake-ups"},
        {Workload::one_way,
         "how many messages a second go from one sender to one receiver, every byte touched?",
         "latency; in `batch` 64 messages are published together",
         "bound by one move of each payload line; a reader that polls too eagerly halves it"},
        {Workload::many_to_many,
         "how many messages a second go from two senders to two receivers on two cpus?",
         "fairness among receivers; more processes than that",
         "lanes scale with the pairs, a shared queue is bound by its contended words"},
        {Workload::broadcast,
         "how many messages a second get to each of three receivers of one sender, on two cpus?",
         "receivers that skip; more processes than that",
         "the sender moves each line once, every receiver reads it; the slowest sets the pace"},
        {Workload::waiting,
         "what does the way of waiting cost: alone, four pairs on two cpus, beside busy loops?",
         "large payloads, processes on other machines",
         "spinning dies when cpus are short; sleeping at once pays two wake-ups every time"},
        {Workload::loan,
         "what does it cost to hand a large payload over and back when nobody touches it?",
         "filling and reading the payload",
         "as a round trip of 8 bytes, whatever the size; who copies pays for every byte"},
        {Workload::policies,
         "what does a policy cost on the pool ring, to and fro over two mailboxes, and one way?",
         "what happens when the policy has something to do: ageing, growing, dropping",
         "plain `any` is the measure; a policy that is not needed at the moment costs little"},
        {Workload::answered,
         "how many messages a second, when each send waits until the other side has it?",
         "several sends waiting at a time",
         "a message and a reply over two mailboxes of `any` (stoa_handovers) are the measure"},
        {Workload::mailboxes,
         "how many small named mailboxes a second are created, and opened by another process?",
         "messages; reserves of megabytes, which the kernel clears page by page",
         "bound by the kernel: a file, its pages, its name, two mappings (the limit `files`)"},
        {Workload::heap,
         "how many blocks of mixed sizes a second are allocated and freed, alone, by two at once?",
         "growing; blocks that another process frees",
         "alone, two locked instructions and a search of a few words; two meet on few lines"},
        {Workload::newest,
         "how often a second is the newest value of one writer read, and written?",
         "waiting for it; several readers; a writer that writes without a pause",
         "in a cache, two loads and the copy; beside a writer, the lines that it moved"},
        {Workload::attach,
         "how long does it take to attach to a region, to read a value in it and to detach?",
         "creating one; the first touch of its other pages",
         "the system calls of a mapping, and a page fault"},
        {Workload::locks,
         "how many times a second is a lock locked and unlocked, by one process, by two at once?",
         "what a lock guards; more processes than two; waits that sleep long",
         "alone, two locked instructions; a reader's word on a line of its own moves no line"},
    };
    return list;
}

std::optional<Workload> workload_named(std::string_view text) {
    for (const Question& question : questions()) {
        if (name(question.workload) == text) return question.workload;
    }
    return std::nullopt;
}

std::vector<std::vector<Case>> groups_of(Workload workload) {
    switch (workload) {
        case Workload::round_trip:
            return grid(workload, {8, 16, 32, 48, 64, kKiB, 64 * kKiB, kKiB * kKiB},
                        {Mode::spin, Mode::adaptive, Mode::park});
        case Workload::one_way:
            return grid(workload, {8, 64, kKiB, 64 * kKiB, kKiB * kKiB},
                        {Mode::single, Mode::batch});
        case Workload::many_to_many:
        case Workload::broadcast: return grid(workload, {64}, {Mode::single, Mode::batch});
        case Workload::waiting:
            return grid(workload, {8},
                        {Mode::spin, Mode::adaptive, Mode::park, Mode::one_core, Mode::four_pairs,
                         Mode::beside_busy});
        case Workload::loan: return grid(workload, {64 * kKiB, kKiB * kKiB}, {Mode::spin});
        case Workload::policies: return grid(workload, {64}, {Mode::spin, Mode::single});
        case Workload::answered:
        case Workload::mailboxes: return grid(workload, {64}, {Mode::single});
        case Workload::heap: return grid(workload, {64}, {Mode::single, Mode::adaptive});
        case Workload::newest:
            return grid(workload, {8, 64, kKiB, 64 * kKiB},
                        {Mode::reads, Mode::writes, Mode::reads_beside});
        case Workload::attach: return grid(workload, {8}, {Mode::single});
        case Workload::locks: return grid(workload, {8}, {Mode::single, Mode::adaptive});
    }
    return {};
}

}  // namespace stoa::bench
