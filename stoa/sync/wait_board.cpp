#include "stoa/sync/wait_board.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include "stoa/base/check.hpp"
#include "stoa/base/crash_point.hpp"
#include "stoa/sys/coarse_clock.hpp"
#include "stoa/sys/epoll.hpp"
#include "stoa/sys/file.hpp"
#include "stoa/sys/memfd.hpp"

namespace stoa {

// --- the set's side ------------------------------------------------------------------------------

namespace {

// Begins anywhere: a program that this process runs by exec is the same process to others, and has
// the same descriptors.
std::uint32_t next_turn() noexcept {
    static Atomic<std::uint32_t> last{
        static_cast<std::uint32_t>(sys::steady_ns() * 0x9e3779b97f4a7c15U >> 32U)};
    std::uint32_t turn = 0;
    while (turn == 0) turn = last.fetch_add(1, kRelaxed) % kWatchTurnEnd;
    return turn;
}

}  // namespace

Result<WaitBoard> WaitBoard::create(const sys::Fd& bell) {
    const Result<sys::Identity> self = sys::self();
    if (!self) return std::unexpected(self.error());
    WaitBoard board;
    const sys::NoFork no_fork;
    Result<sys::Fd> memory = sys::make_memory("stoa-wait");
    if (!memory) return std::unexpected(memory.error());
    if (static_cast<std::uint32_t>(memory->get()) >= kWatchBoardEnd) {
        return fail(Errc::limit_reached, "wait set (its descriptor is beyond 1048575)");
    }
    Result<void> made = sys::reserve(*memory, 0, kWaitBoardBytes);
    if (made) made = sys::seal_size(*memory);
    if (!made) return std::unexpected(made.error());
    Result<sys::Mapping> mapping =
        sys::map_shared(*memory, kWaitBoardBytes, sys::Access::read_write);
    if (!mapping) return std::unexpected(mapping.error());
    board.mapping_ = std::move(*mapping);
    board.generation_ = sys::own_generation();
    board.layout_ = layout_at<WaitBoardLayout>(board.mapping_.bytes(), 0);
    WaitBoardLayout& layout = *board.layout_;
    layout.version = kWaitBoardVersion;
    layout.turn = next_turn();
    std::ranges::copy(sys::words_of(*self), layout.owner);
    layout.bell = static_cast<std::uint32_t>(bell.get());
    layout.bell_inode = sys::inode_of(bell);
    layout.magic.store(kWaitBoardMagic, kRelease);
    board.memory_ = sys::ForkFd{std::move(*memory)};
    board.memory_.close_on_fork(no_fork);
    return board;
}

void WaitBoard::sleep() noexcept {
    const std::uint64_t now = layout_->sleeping.load(kRelaxed);
    // Another one than any ringer has seen: whoever wrote his byte before it was drained may be
    // about to count up the last one.
    layout_->sleeping.store((now | 1U) + (now & 1U) * 2, kSeqCst);
    STOA_CRASH_POINT("wait_board.sleep");
}

void WaitBoard::wake() noexcept {
    std::uint64_t now = layout_->sleeping.load(kRelaxed);
    if ((now & 1U) != 0) layout_->sleeping.compare_exchange_strong(now, now + 1, kSeqCst);
}

// --- the ringers' side ---------------------------------------------------------------------------

namespace {

struct Board {  // of another set, perhaps of our own process
    sys::Identity owner;
    WatchWord word;  // slot 0
    sys::Mapping mapping;
    sys::Fd bell;
    std::uint64_t used = 0;

    [[nodiscard]] bool is(const sys::Identity& whose, const WatchWord& which) const noexcept {
        return word.board == which.board && word.turn == which.turn && owner == whose;
    }
};

// Never destroyed: locks may be used by destructors of static objects.
struct Boards {
    std::mutex lock;
    std::array<std::optional<Board>, 64> all;
    std::uint64_t uses = 0;
};
Boards& boards() noexcept {
    static Boards* const instance = [] {
        alignas(Boards) static std::byte memory[sizeof(Boards)];
        auto* const made = new (memory) Boards;
        // A child keeps what is open: it leads to the same boards.
        STOA_CHECK(::pthread_atfork([] { boards().lock.lock(); }, [] { boards().lock.unlock(); },
                                    [] { boards().lock.unlock(); }) == 0);
        return made;
    }();
    return *instance;
}

bool is_sound(const WaitBoardLayout& layout, const sys::Identity& owner,
              const WatchWord& word) noexcept {
    return layout.magic.load(kAcquire) == kWaitBoardMagic && layout.version == kWaitBoardVersion &&
           layout.turn == word.turn && std::ranges::equal(sys::words_of(owner), layout.owner);
}

Result<Board> open_board(const sys::Identity& owner, const WatchWord& word) noexcept {
    const Result<sys::Fd> memory =
        sys::open_memory_of(owner, static_cast<int>(word.board), sys::Access::read_write);
    if (!memory) return std::unexpected(memory.error());
    const Result<sys::FileInfo> file = sys::info(*memory);
    if (!file || file->bytes != kWaitBoardBytes) return fail(Errc::not_found, "wait board");
    Result<sys::Mapping> mapping =
        sys::map_shared(*memory, kWaitBoardBytes, sys::Access::read_write);
    if (!mapping) return std::unexpected(mapping.error());
    const auto& layout = *layout_at<WaitBoardLayout>(mapping->bytes(), 0);
    if (!is_sound(layout, owner, word)) return fail(Errc::not_found, "wait board");
    Result<sys::Fd> bell =
        sys::open_pipe_of(owner, static_cast<int>(layout.bell), layout.bell_inode);
    if (!bell) return std::unexpected(bell.error());
    return Board{owner, word, std::move(*mapping), std::move(*bell)};
}

void forget_board(const sys::Identity& owner, const WatchWord& word) noexcept {
    Boards& list = boards();
    const std::lock_guard guard{list.lock};
    for (std::optional<Board>& one : list.all) {
        if (one && one->is(owner, word)) one.reset();
    }
}

// Where one more goes: a free place, that of a dead one, or the one that was used longest ago.
std::optional<Board>& place_for_one(Boards& list) noexcept {
    std::optional<Board>* oldest = &list.all.front();
    for (std::optional<Board>& one : list.all) {
        if (one && sys::probe(one->owner) == sys::Life::dead) one.reset();
        if (!one) return one;
        if (one->used < (*oldest)->used) oldest = &one;
    }
    return *oldest;
}

Board* find_board(Boards& list, const sys::Identity& owner, const WatchWord& word) noexcept {
    for (std::optional<Board>& one : list.all) {
        if (!one || !one->is(owner, word)) continue;
        const auto& layout = *layout_at<WaitBoardLayout>(one->mapping.bytes(), 0);
        if (layout.magic.load(kRelaxed) == kWaitBoardMagic) [[likely]]
            return &*one;
        one.reset();  // its set has ended
        return nullptr;
    }
    Result<Board> opened = open_board(owner, word);
    if (!opened) return nullptr;
    std::optional<Board>& place = place_for_one(list);
    place.emplace(std::move(*opened));
    return &*place;
}

enum class Told : std::uint32_t { changed = 0, came = 1 };

void ring(Board& board, std::uint32_t slot, Told what) noexcept {
    auto& layout = *layout_at<WaitBoardLayout>(board.mapping.bytes(), 0);
    const std::uint32_t bit = 2 * slot + static_cast<std::uint32_t>(what);
    const std::uint32_t word = bit / 64;
    layout.slots[word].fetch_or(1ULL << bit % 64, kSeqCst);  // A1
    STOA_CRASH_POINT("wait_board.ring.slot");
    layout.summary[word / 64].fetch_or(1ULL << word % 64, kSeqCst);
    STOA_CRASH_POINT("wait_board.ring.summary");
    std::uint64_t sleeping = layout.sleeping.load(kSeqCst);  // A2
    if ((sleeping & 1U) == 0) return;
    sys::ring_pipe(board.bell);  // A3
    STOA_CRASH_POINT("wait_board.ring.byte");
    layout.sleeping.compare_exchange_strong(sleeping, sleeping + 1, kSeqCst);  // A4
}

// Some record was watched once: whose still are? `but`: nobody of that process.
[[gnu::noinline]] void ring_all(const Participants& participants, Told what,
                                const sys::Identity& but) noexcept {
    const std::uint32_t count = participants.places();
    for (std::uint32_t i = 0; i < count; ++i) {
        WatchWord word;
        sys::Identity owner;
        if (!participants.watcher(i, word, owner) || word.slot >= kWaitSlots) continue;
        if (owner == but) continue;
        STOA_CRASH_POINT("wait_board.ring.before");
        Boards& list = boards();
        const std::lock_guard guard{list.lock};
        Board* const board = find_board(list, owner, word);
        if (board == nullptr) continue;
        board->used = ++list.uses;
        ring(*board, word.slot, what);
    }
}

}  // namespace

WaitBoard::~WaitBoard() {
    if (!mapping_.valid() || !is_own()) return;
    layout_->magic.store(0, kRelease);  // whoever has it open lets go of it
    forget_board(sys::identity_of({layout_->owner[0], layout_->owner[1], layout_->owner[2],
                                   layout_->owner[3], layout_->owner[4]}),
                 word(0));
}

void ring_watchers(const void* word) noexcept {
    const Here at = here(word);
    if (at.participants == nullptr || !at.participants->is_watched()) [[likely]]
        return;
    ring_all(*at.participants, Told::changed, {});
}

void ring_for_newcomer(const Participants& participants) noexcept {
    if (!participants.is_watched()) return;
    const Result<sys::Identity> self = sys::self();  // its own death needs nobody to be told
    ring_all(participants, Told::came, self ? *self : sys::Identity{});
}

}  // namespace stoa
