// The heap of a region: blocks, sections and shared objects, with the dead and the stopped in it.
//
// Whatever happens, a survivor finds each chain whole and every block in a chain, in a slot or in a
// shared object; outside of sections a death may lose one block, inside none.
#include <cstring>
#include <functional>
#include <memory>

#include "stoa/base/check.hpp"
#include "stoa/shm/heap.hpp"
#include "stoa/shm/offset_ptr.hpp"
#include "stoa/shm/shared_ptr.hpp"
#include "stoa/sync/bell.hpp"
#include "stoa/sync/guarded.hpp"
#include "tests/crash/scenario.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

#include <unistd.h>

#include <csignal>
#include <optional>

namespace stoa::crash {
namespace {

using namespace std::chrono_literals;

struct Node {
    OffsetPtr<Node> next;
};
struct Chain {
    OffsetPtr<Node> first;
    std::uint64_t length = 0;
};

}  // namespace
}  // namespace stoa::crash

template <>
inline constexpr bool stoa::kUndoneByBytes<stoa::crash::Chain> = true;

namespace stoa::crash {
namespace {

struct Roots {
    Guarded<Chain, Undo::copy> kept;
    Guarded<Chain, Undo::copy> other;
    Guarded<Chain> mended;
    OffsetPtr<void> slots[8];
    SharedToken token;
};

class HeapScenario;
struct HeapCase {
    const char* name;
    std::function<void(HeapScenario&)> operation;
    std::function<void(HeapScenario&)> prepare{};
    std::uint64_t may_lose = 0;  // blocks, by each death
    std::uint64_t shared = 0;    // objects that the first one holds all the time
};

class HeapScenario final : public Scenario {
public:
    explicit HeapScenario(HeapCase details) : case_{std::move(details)} {}

    std::string name() const override { return case_.name; }
    std::vector<std::span<std::byte>> shared() override { return {memory_.bytes()}; }
    void prepare() override {
        g_wait_slice = 1ms;
        Participants::create(table(), kPlaces, kPlaces).value();
        Heap::create(heap_memory(), true).value();
        new (&roots()) Roots;
        join();
        for (int i = 0; i < 3; ++i) push(*roots().kept.lock().value(), 40);
        for (int i = 0; i < 3; ++i) push(*roots().other.lock().value(), 40);
        for (int i = 0; i < 3; ++i) push(*roots().mended.lock().value(), 40);
        if (case_.prepare) case_.prepare(*this);
    }
    void victim_begin() override { join(); }
    void victim() override {
        case_.operation(*this);
        outcome(crash::Role::victim).code = 1;
    }
    void recover_begin(const Case& /*now*/) override { join(); }
    void recover(const Case& /*now*/) override { bring_back(Deadline::never()); }
    std::string interfere(const Case& /*now*/) override {
        join();
        bring_back(Deadline::after(5ms));
        static_cast<void>(
            heap().retire_empty());  // what the victim has opened serves another class
        return use();
    }
    // A stopped heir keeps its lock.
    std::string interfere_recovery(const Case& now) override { return interfere(now); }
    std::string verify(const Case& now) override;

    [[nodiscard]] Roots& roots() {
        return *reinterpret_cast<Roots*>(memory_.bytes().data() + kTableBytes);
    }
    [[nodiscard]] Heap& heap() { return *heap_; }
    void push(Chain& chain, std::size_t bytes) {
        auto* const node = new (heap().allocate(bytes).value()) Node{.next = chain.first};
        chain.first = OffsetPtr<Node>{node};
        ++chain.length;
    }
    void pop(Chain& chain) {
        Node* const node = chain.first.get();
        if (node == nullptr) return;
        chain.first = node->next;
        --chain.length;
        heap().free(node);
    }
    void change(Chain& chain) {
        pop(chain);
        push(chain, 40);
        push(chain, 2000);
        push(chain, 5000);
        pop(chain);
    }
    // Into a slot, from which it is reached.
    void take(std::size_t slot, std::size_t bytes) {
        roots().slots[slot] = OffsetPtr<void>{heap().allocate(bytes).value()};
    }
    void give(std::size_t slot) {
        void* const block = roots().slots[slot].get();
        roots().slots[slot] = nullptr;
        heap().free(block);
    }
    // A child joins, does that and is killed.
    void leave_a_dead_one(const std::function<void()>& after) {
        const kit::Ending ending = kit::fork_and_run([&] {
            join();
            after();
            ::kill(::getpid(), SIGKILL);
        });
        STOA_CHECK(ending.signal == SIGKILL);
    }

private:
    static constexpr std::uint32_t kPlaces = 16;
    static constexpr std::uint64_t kTableBytes = 4096;
    static constexpr std::uint64_t kHeapBytes = std::uint64_t{64} << 10U;

    std::span<std::byte> table() { return memory_.bytes().first(kTableBytes); }
    std::span<std::byte> heap_memory() { return memory_.bytes().subspan(2 * kTableBytes); }
    void join() {
        membership_.reset();
        table_.emplace(Participants::attach(table()).value());
        const auto reserve = [](void*, std::uint64_t, std::uint64_t) { return Result<void>{}; };
        const std::uint32_t index = table_->join(stoa::Role::none, reserve, nullptr).value();
        heap_ = Heap::attach(heap_memory(), nullptr, nullptr).value();
        membership_.emplace(memory_.bytes(), *table_, index, heap_.get());
    }
    static std::uint64_t walk(const Chain& chain) {
        std::uint64_t found = 0;
        for (const Node* node = chain.first.get(); node != nullptr; node = node->next.get()) {
            ++found;
        }
        return found;
    }
    void bring_back(Deadline deadline) {
        heap().recover();
        static_cast<void>(sweep_shared(heap()));
        static_cast<void>(roots().kept.lock(deadline));
        auto access = roots().mended.lock(deadline);
        if (access && access->owner_died()) {
            access->repair([](Chain& chain) { chain.length = walk(chain); });
        }
    }
    // What one gets nobody else has.
    std::string use() {
        static constexpr std::size_t kSizes[] = {40, 100, 2000, 300, 5000, 1000, 700};
        std::byte* blocks[std::size(kSizes)];
        for (std::size_t i = 0; i < std::size(kSizes); ++i) {
            const Result<void*> got = heap().allocate(kSizes[i]);
            if (!got) return "no memory: " + describe(got.error());
            blocks[i] = static_cast<std::byte*>(*got);
            std::memset(blocks[i], static_cast<int>(i + 1), kSizes[i]);
        }
        auto access = roots().other.lock(Deadline::after(2s));
        if (!access) return "a lock of nobody is held";
        pop(**access);
        push(**access, 40);
        for (std::size_t i = 0; i < std::size(kSizes); ++i) {
            for (std::size_t k = 0; k < kSizes[i]; ++k) {
                if (blocks[i][k] != std::byte(i + 1)) return "a block is given twice";
            }
            heap().free(blocks[i]);
        }
        return {};
    }

    HeapCase case_;
    kit::TempRegion memory_{2 * kTableBytes + kHeapBytes};
    std::optional<Participants> table_;
    std::unique_ptr<Heap> heap_;
    std::optional<Membership> membership_;
};

std::string HeapScenario::verify(const Case& now) {
    join();
    bring_back(Deadline::never());
    std::string text = use();
    if (!text.empty()) return text;
    Roots& all = roots();
    std::uint64_t blocks = 2 * case_.shared;
    for (const OffsetPtr<void>& slot : all.slots) blocks += slot ? 1U : 0U;
    for (auto* guarded : {&all.kept, &all.other}) {
        const auto access = guarded->lock().value();
        if (walk(*access) != access->length) return "a chain is torn";
        blocks += access->length;
    }
    const auto access = all.mended.lock().value();
    if (walk(*access) != access->length) return "a mended chain is torn";
    blocks += access->length;
    if (heap().sections_open() != 0) return "a section is left";
    const std::span<const std::byte> root = std::as_bytes(std::span{&all, 1});
    const HeapReport report = heap().report(std::span{&root, 1});
    const std::uint64_t reached = report.blocks - report.leaked_blocks;
    if (reached != blocks) {
        return std::to_string(reached) + " blocks are reached, not " + std::to_string(blocks);
    }
    const std::uint64_t deaths = (now.victim_dead ? 1U : 0U) + (now.recoverer_dead ? 1U : 0U);
    if (report.leaked_blocks > deaths * case_.may_lose) {
        return std::to_string(report.leaked_blocks) + " blocks are lost";
    }
    static_cast<void>(heap().retire_empty());
    std::uint64_t free = 0;
    while (heap().allocate(4096)) free += 4096;
    // Seven classes, and what is lost, may have a slab each.
    return free + 9 * 4096 + report.bytes < heap().capacity_bytes() ? "slabs are lost" : "";
}

void add_block_scenarios(Scenarios& list) {
    const auto blocks = [](HeapScenario& stage) {
        stage.take(0, 40);
        stage.take(1, 5000);
        stage.take(2, 700);
    };
    const auto emptied = [](HeapScenario& stage) {
        stage.take(0, 700);
        stage.take(1, 300);
        stage.give(0);
    };
    const auto dead_ones = [](HeapScenario& stage) {
        stage.leave_a_dead_one([&] {
            stage.take(1, 300);
            stage.give(1);
            kit::kill_self_at("heap.word_closed", 3);
            static_cast<void>(stage.heap().retire_empty());
        });
        stage.leave_a_dead_one([&] {
            void* const block = stage.heap().allocate(9000).value();
            kit::kill_self_at("heap.run_released");
            stage.heap().free(block);
        });
    };
    const HeapCase cases[] = {
        {.name = "heap.allocate",
         .operation = [](HeapScenario& stage) { stage.take(0, 40); },
         .may_lose = 1},
        {.name = "heap.allocate_opens",
         .operation = [](HeapScenario& stage) { stage.take(0, 1000); },
         .may_lose = 1},
        {.name = "heap.free",
         .operation = [](HeapScenario& stage) { stage.give(0); },
         .prepare = blocks,
         .may_lose = 1},
        {.name = "heap.large",
         .operation =
             [](HeapScenario& stage) {
                 stage.take(3, 9000);
                 stage.give(1);
             },
         .prepare = blocks,
         .may_lose = 1},
        {.name = "heap.retire",
         .operation = [](HeapScenario& stage) { static_cast<void>(stage.heap().retire_empty()); },
         .prepare = emptied},
        {.name = "heap.recover",
         .operation = [](HeapScenario& stage) { stage.heap().recover(); },
         .prepare = dead_ones},
    };
    for (const HeapCase& one : cases) list.push_back(std::make_unique<HeapScenario>(one));
}

void add_section_scenarios(Scenarios& list) {
    const auto change = [](HeapScenario& stage) {
        stage.change(*stage.roots().kept.lock().value());
    };
    const auto dead = [](HeapScenario& stage) {
        stage.leave_a_dead_one([&] {
            auto access = stage.roots().kept.lock().value();
            stage.change(*access);
            ::kill(::getpid(), SIGKILL);
        });
    };
    const auto dead_before_mending = [](HeapScenario& stage) {
        stage.leave_a_dead_one([&] {
            auto access = stage.roots().mended.lock().value();
            stage.change(*access);
            ::kill(::getpid(), SIGKILL);
        });
    };
    // It put its tag, and did not yet say so.
    const auto dead_with_a_tag = [](HeapScenario& stage) {
        stage.leave_a_dead_one([&] {
            auto access = stage.roots().mended.lock().value();
            kit::kill_self_at("heap.section_tagged");
            stage.push(*access, 40);
        });
    };
    const HeapCase cases[] = {
        {.name = "heap.section_commit", .operation = change},
        {.name = "heap.section_help", .operation = change, .prepare = dead_with_a_tag},
        {.name = "heap.section_mend",
         .operation =
             [](HeapScenario& stage) { stage.change(*stage.roots().mended.lock().value()); },
         .may_lose = 1},
        {.name = "heap.section_roll_back",
         .operation =
             [](HeapScenario& stage) { static_cast<void>(stage.roots().kept.lock().value()); },
         .prepare = dead},
        {.name = "heap.section_settle",
         .operation =
             [](HeapScenario& stage) {
                 auto access = stage.roots().mended.lock().value();
                 access.repair([](Chain& chain) {
                     chain.length = 0;
                     for (Node* at = chain.first.get(); at != nullptr; at = at->next.get()) {
                         ++chain.length;
                     }
                 });
             },
         .prepare = dead_before_mending},
    };
    for (const HeapCase& one : cases) list.push_back(std::make_unique<HeapScenario>(one));
}

void add_shared_scenarios(Scenarios& list) {
    using Shared = SharedPtr<std::uint64_t>;
    const auto held = [](HeapScenario& stage) {
        Shared first = make_shared<std::uint64_t>(stage.heap(), 7U).value();
        stage.roots().token = first.token();
        static_cast<void>(new Shared{std::move(first)});  // as long as the engine lives
    };
    const auto copy = [](HeapScenario& stage) {
        const Shared mine = Shared::adopt(stage.heap(), stage.roots().token).value();
        const Shared another = mine;
        STOA_CHECK(*another == 7);
    };
    const HeapCase cases[] = {
        {.name = "shared_ptr.make",
         .operation =
             [](HeapScenario& stage) {
                 static_cast<void>(make_shared<std::uint64_t>(stage.heap(), 9U).value());
             },
         .may_lose = 1},
        {.name = "shared_ptr.copy", .operation = copy, .prepare = held, .shared = 1},
    };
    for (const HeapCase& one : cases) list.push_back(std::make_unique<HeapScenario>(one));
}

}  // namespace

void add_heap_scenarios(Scenarios& list) {
    add_block_scenarios(list);
    add_section_scenarios(list);
    add_shared_scenarios(list);
}

}  // namespace stoa::crash
