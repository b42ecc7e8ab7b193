// Random programs of several processes in one region, which die and stop in every way there is.
//
// They open and close it, construct, find and destroy objects, allocate, free and lock; they are
// killed, stopped, and end by SIGSEGV, abort, exit, exec and in forked children. Nothing may hang
// (each wait has a deadline that nothing ordinary reaches), and in the end every list is whole,
// each name can be had and the heap holds what the objects hold. STOA_REGION_DEATHS sets the
// budget.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <vector>

#include "stoa/shm/heap.hpp"
#include "stoa/shm/offset_ptr.hpp"
#include "stoa/shm/region.hpp"
#include "stoa/sync/guarded.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {
namespace {

using namespace std::chrono_literals;

constexpr const char* kArena = "arena";
constexpr int kWorkers = 4;
constexpr std::uint64_t kLists = 3;
constexpr std::uint64_t kNames = 6;
constexpr auto kForEver = 25s;  // no call takes so long
// A death may lose a block that no object has, and what a destructor had not freed.
constexpr std::uint64_t kMayLose = 4;
constexpr RegionOptions kOptions{.max_bytes = std::uint64_t{16} << 20U, .max_objects = 64};

struct Node {
    OffsetPtr<Node> next;
};
struct Chain {
    OffsetPtr<Node> first;
    std::uint64_t length = 0;
};

struct Owning {
    static inline Heap* heap = nullptr;
    explicit Owning(std::size_t bytes)
        : one{heap->allocate(40).value()}, two{heap->allocate(bytes).value()} {}
    ~Owning() {
        heap->free(one.get());
        heap->free(two.get());
    }
    Owning(const Owning&) = delete;
    Owning& operator=(const Owning&) = delete;

    OffsetPtr<void> one;
    OffsetPtr<void> two;
};

struct Board {  // what the processes tell each other
    std::atomic<bool> ends;
    std::atomic<std::uint64_t> steps;
    std::atomic<std::uint64_t> faults;
    std::atomic<std::uint64_t> forks;
    char text[200];
};

}  // namespace

template <>
struct Layout<Owning> {
    static constexpr std::string_view name = "test.owning";
};
template <>
struct Layout<Chain> {
    static constexpr std::string_view name = "test.chain";
};
template <>
inline constexpr bool kUndoneByBytes<Chain> = true;

namespace {

using List = Guarded<Chain, Undo::copy>;

std::string numbered(const char* what, std::uint64_t number) {
    return what + std::to_string(number);
}

class Program {
public:
    Program(Board& board, std::uint64_t seed) : board_{board}, random_{seed} {}

    void run() {
        const rlimit none{};
        ::setrlimit(RLIMIT_CORE, &none);
        while (!board_.ends.load()) step();
    }
    void step() {
        board_.steps.fetch_add(1);
        if (!region_ || pick(200) == 0) open();
        const std::uint64_t deed = pick(1000);
        if (deed < 300) return change_list();
        if (deed < 500) return construct();
        if (deed < 650) return destroy();
        if (deed < 800) return allocate();
        if (deed < 900) return look();
        if (deed < 930) return side();
        if (deed < 990) return static_cast<void>(region_->sweep());
        end();
    }
    void close() { region_.reset(); }

private:
    std::uint64_t pick(std::uint64_t below) { return random_() % below; }
    [[nodiscard]] Deadline soon() const { return Deadline::after(kForEver); }
    void fault(const char* what, const Error& error) {
        std::snprintf(board_.text, sizeof board_.text, "%s: %s", what, describe(error).c_str());
        board_.faults.fetch_add(1);
    }
    void open() {
        region_.reset();
        Result<Region> region = Region::open_or_create(kArena, 1U << 20U, kOptions);
        if (!region) {
            fault("open", region.error());
            std::_Exit(1);
        }
        region_.emplace(std::move(*region));
        Owning::heap = &region_->heap();
    }
    void change_list() {
        const std::string name = numbered("list", pick(kLists));
        const Result<List*> list = region_->find_or_construct_until<List>(soon(), name);
        if (!list) return fault("list", list.error());
        Result<List::Access> access = (*list)->lock(soon());
        if (!access) return fault("lock", access.error());
        for (std::uint64_t i = pick(8); i > 0; --i) {
            Chain& chain = **access;
            if (chain.length > 0 && (chain.length > 40 || pick(2) == 0)) {
                Node* const node = chain.first.get();
                chain.first = node->next;
                --chain.length;
                region_->heap().free(node);
            } else if (const Result<void*> block = region_->heap().allocate(sizes())) {
                chain.first = new (*block) Node{.next = chain.first};
                ++chain.length;
            }
        }
        if (pick(400) == 0) end();  // with the lock in its hands
    }
    std::size_t sizes() { return pick(20) == 0 ? 9000 : 16 + pick(700); }
    void construct() {
        const std::string name = numbered("object", pick(kNames));
        const Result<Owning*> made = region_->construct_until<Owning>(soon(), name, sizes());
        if (!made && made.error().code != Errc::exists) fault("construct", made.error());
    }
    void destroy() {
        const std::string name = numbered("object", pick(kNames));
        const Result<void> gone = region_->destroy_object<Owning>(name);
        if (!gone && gone.error().code != Errc::not_found) fault("destroy", gone.error());
    }
    void allocate() {
        const Result<void*> block = region_->heap().allocate(sizes());
        if (!block) return fault("allocate", block.error());
        std::memset(*block, 7, 16);
        region_->heap().free(*block);
    }
    void look() {
        static_cast<void>(region_->find<Owning>(numbered("object", pick(kNames))));
        static_cast<void>(region_->objects());
        static_cast<void>(region_->attached());
    }
    // Another region, which comes and goes.
    void side() {
        if (pick(3) == 0) {
            static_cast<void>(Region::destroy("side"));
            return;
        }
        Result<Region> region = Region::open_or_create("side", 4096, {.max_objects = 8});
        // Beside one who is stopped while it removes a name that name alone is busy.
        if (!region) {
            if (region.error().code != Errc::exists) fault("side", region.error());
            return;
        }
        const auto made = region->find_or_construct_until<std::uint64_t>(soon(), "n", 1U);
        if (!made) fault("side object", made.error());
    }
    void end() {
        if (!may_end_) return;
        switch (pick(8)) {
            case 0: std::raise(SIGSTOP); return;
            case 1: std::raise(SIGSEGV); break;
            case 2: std::abort();
            case 3: std::_Exit(0);
            case 4: ::execl("/bin/true", "true", nullptr); break;
            case 5: return fork_one();
            default: std::raise(SIGKILL);
        }
        std::_Exit(0);
    }
    void fork_one() {
        const std::uint64_t seed = random_();
        const pid_t child = ::fork();
        if (child != 0) return;  // it is reaped by whoever inherits it
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        may_end_ = false;  // nobody would resume it
        board_.forks.fetch_add(1);
        const auto made = region_->construct<Owning>("object0", std::size_t{100});
        if (made || made.error().code != Errc::forked) {
            board_.faults.fetch_add(1);
            std::strcpy(board_.text, "a forked child acted as its parent");
        }
        region_.reset();
        random_.seed(seed);
        for (int i = 0; i < 20; ++i) step();
        std::_Exit(0);
    }

    Board& board_;
    std::mt19937_64 random_;
    std::optional<Region> region_;
    bool may_end_ = true;
};

std::uint64_t budget() {
    const char* text = std::getenv("STOA_REGION_DEATHS");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 120;
}

std::uint64_t walk_lists(Region& region) {
    std::uint64_t nodes = 0;
    for (std::uint64_t i = 0; i < kLists; ++i) {
        const auto list = region.find_or_construct<List>(numbered("list", i)).value();
        const auto access = list->lock(Deadline::after(kForEver)).value();
        std::uint64_t found = 0;
        for (const Node* at = access->first.get(); at != nullptr; at = at->next.get()) ++found;
        EXPECT_EQ(found, access->length);
        nodes += found;
    }
    return nodes;
}

TEST(RegionStress, WhoeverDiesHoweverNothingHangsAndNothingIsLost) {
    const kit::TempDomain folder;
    const kit::TempRegion memory{sizeof(Board)};
    auto& board = *new (memory.bytes().data()) Board{};
    std::random_device device;
    const std::uint64_t seed = device();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    Region region = Region::create(kArena, 1U << 20U, kOptions).value();
    std::uint64_t deaths = 0;
    std::vector<std::optional<kit::Child>> workers;
    const auto worker = [&board, &random] {
        return [&board, chosen = random()] { Program{board, chosen}.run(); };
    };
    for (int i = 0; i < kWorkers; ++i) workers.emplace_back(std::in_place, worker());
    const std::uint64_t all = budget();
    while (deaths < all && board.faults.load() == 0) {
        // A while of theirs, however fast the machine is.
        const std::uint64_t until = board.steps.load() + random() % 100;
        const Deadline patience = Deadline::after(5ms);
        while (board.steps.load() < until && !patience.passed()) {
            static_cast<void>(region.find<Owning>("object0"));
        }
        std::optional<kit::Child>& one = workers[random() % workers.size()];
        one->resume();
        if (random() % 4 == 0) {
            one->send_signal(SIGSTOP);
            continue;
        }
        one->kill();
        static_cast<void>(one->wait());
        ++deaths;
        one.emplace(worker());
    }
    board.ends.store(true);
    for (auto& one : workers) one->resume();
    for (auto& one : workers) {
        const kit::Ending ending = one->wait();
        EXPECT_FALSE(ending.hung);
    }
    EXPECT_EQ(board.faults.load(), 0U) << board.text;

    // The children of those who ended go with them.
    EXPECT_TRUE(kit::wait_until([&] {
        region.sweep();
        return region.attached().size() == 1;
    })) << region.attached().back().pid
        << " is still attached";
    const std::uint64_t nodes = walk_lists(region);
    Owning::heap = &region.heap();
    for (std::uint64_t i = 0; i < kNames; ++i) {
        const std::string name = numbered("object", i);
        ASSERT_TRUE(region.find_or_construct<Owning>(name, std::size_t{100}));
        ASSERT_TRUE(region.destroy_object<Owning>(name));
    }
    region.sweep();
    EXPECT_EQ(region.heap().sections_open(), 0U);
    EXPECT_EQ(region.objects().size(), static_cast<std::size_t>(kLists));
    EXPECT_LE(region.use().leaked_blocks, (deaths + board.forks.load()) * kMayLose);
    std::printf("%lu deaths, %lu forks, %lu deeds, %lu nodes, %lu blocks lost\n", deaths,
                board.forks.load(), board.steps.load(), nodes, region.use().leaked_blocks);
    ASSERT_TRUE(Region::destroy(kArena));
    static_cast<void>(Region::destroy("side"));
    EXPECT_TRUE(folder.entries().empty());
}

}  // namespace
}  // namespace stoa
