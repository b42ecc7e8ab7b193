#include "stoa/wait/object_wait.hpp"

#include <algorithm>

#include "stoa/base/crash_point.hpp"
#include "stoa/sync/bell.hpp"

namespace stoa {

bool ObjectWait::is_there() noexcept {
    const Here now = here(object_);
    if (now.participants == at_.participants && now.me == at_.me) [[likely]]
        return true;
    if (entry_ != nullptr) entry_->close();
    return false;
}

bool ObjectWait::ready() noexcept {
    return is_there() && is_ready();
}

std::uint32_t ObjectWait::spin_pauses() noexcept {
    return kAdaptiveSpins;
}

const void* ObjectWait::watched_as() const noexcept {
    return at_.participants != nullptr && at_.me != 0
               ? &at_.participants->record(holder_index(at_.me))
               : nullptr;
}

Result<void> ObjectWait::set_watch(const WatchWord& whom) noexcept {
    if (!is_there() || at_.participants->set_watch(holder_index(at_.me), whom)) return {};
    return fail(Errc::in_use,
                "wait set (another set waits for this region; open it again for this one)");
}

Result<void> ObjectWait::look_around() noexcept {
    if (!is_there()) return {};
    if (at_.sweeper != nullptr) at_.sweeper->sweep();
    return {};
}

void ObjectWait::for_each_peer(PeerVisitor& visitor) {
    if (!is_there()) return;
    const std::uint32_t own = holder_index(at_.me);
    sys::Identity self;
    static_cast<void>(at_.participants->holder(own, self));
    for (std::uint32_t i = 0; i < at_.participants->places(); ++i) {
        sys::Identity peer;
        if (i != own && at_.participants->holder(i, peer) && peer != self) visitor.visit(peer);
    }
}

Result<void> ObjectWait::attach(Touched& entry) noexcept {
    if (at_.participants == nullptr) {
        return fail(Errc::not_supported, "wait set (it is no object of a region)");
    }
    if (at_.me == 0) return fail(Errc::forked, "wait set");
    if (entry_ != nullptr) return fail(Errc::in_use, "wait set (it is in one already)");
    entry_ = &entry;
    return {};
}

namespace {

class WordWait final : public ObjectWait {
public:
    WordWait(const void* lock, Atomic<std::uint64_t>& word) noexcept
        : ObjectWait{lock}, word_{word} {}

private:
    [[nodiscard]] bool is_ready() noexcept override {
        const std::uint64_t seen = word_.load(kSeqCst);
        const Holder holder = LockWord::holder(seen);
        return holder == 0 || (seen & LockWord::kPoisoned) != 0 || holder == gone_;
    }
    // As a sleeper: who gives it back takes the bit out and wakes.
    void mark() noexcept override {
        std::uint64_t seen = word_.load(kSeqCst);
        while (LockWord::holder(seen) != 0 && (seen & LockWord::kWaiters) == 0 &&
               !word_.compare_exchange_weak(seen, seen | LockWord::kWaiters, kSeqCst)) {
        }
        STOA_CRASH_POINT("object_wait.word.marked");
    }
    void look_at_holder() noexcept override {
        const Holder holder = LockWord::holder(word_.load(kSeqCst));
        if (holder != 0 && at().is_gone(holder)) gone_ = holder;
    }

    Atomic<std::uint64_t>& word_;
    Holder gone_ = ~Holder{0};
};

// Whoever gives it back, to write or to read, rings for those who wait to read where no writer is
// left: what is waited for here as well, in both ways.
class SharedWait final : public ObjectWait {
public:
    SharedWait(const void* lock, const detail::SharedWords& words, bool alone) noexcept
        : ObjectWait{lock}, words_{words}, alone_{alone} {}

private:
    [[nodiscard]] bool is_ready() noexcept override {
        const std::uint64_t seen = words_.layout->word.load(kSeqCst);
        const Holder writer = LockWord::holder(seen);
        if ((seen & LockWord::kPoisoned) != 0 || (writer != 0 && writer == gone_)) return true;
        if (writer != 0) return false;
        return alone_ ? words_.nobody_reads() : words_.has_place(at().me);
    }
    void mark() noexcept override { arm_bell(words_.layout->opened); }
    void look_at_holder() noexcept override {
        words_.drop_the_gone(at());
        const std::uint64_t seen = words_.layout->word.load(kSeqCst);
        if (words_.left_by_the_gone(at(), seen)) gone_ = LockWord::holder(seen);
    }

    detail::SharedWords words_;
    bool alone_;
    Holder gone_ = 0;  // a writer that was in
};

class PermitWait final : public ObjectWait {
public:
    PermitWait(const void* semaphore, std::span<Atomic<Holder>> holders,
               Atomic<std::uint32_t>& bell) noexcept
        : ObjectWait{semaphore}, holders_{holders}, bell_{bell} {}

private:
    [[nodiscard]] bool is_ready() noexcept override {
        return std::ranges::any_of(holders_, [this](const Atomic<Holder>& one) {
            const Holder holder = one.load(kSeqCst);
            return holder == 0 || holder == gone_;
        });
    }
    void mark() noexcept override { arm_bell(bell_); }
    void look_at_holder() noexcept override {
        for (const Atomic<Holder>& one : holders_) {
            const Holder holder = one.load(kSeqCst);
            if (holder != 0 && at().is_gone(holder)) gone_ = holder;
        }
    }

    std::span<Atomic<Holder>> holders_;
    Atomic<std::uint32_t>& bell_;
    Holder gone_ = ~Holder{0};
};

class PostWait final : public ObjectWait {
public:
    PostWait(SignalSemaphore& semaphore, Atomic<std::uint32_t>& bell) noexcept
        : ObjectWait{&semaphore}, semaphore_{semaphore}, bell_{bell} {}

private:
    [[nodiscard]] bool is_ready() noexcept override { return semaphore_.posted() > 0; }
    void mark() noexcept override { arm_bell(bell_); }

    SignalSemaphore& semaphore_;
    Atomic<std::uint32_t>& bell_;
};

class EventWait final : public ObjectWait {
public:
    EventWait(Event& event, EventLayout& layout) noexcept
        : ObjectWait{&event}, layout_{layout}, since_{layout.word.load(kSeqCst)} {}

private:
    // A turn that went by is told of once: then it is as it is now.
    [[nodiscard]] bool is_ready() noexcept override {
        const std::uint32_t seen = layout_.word.load(kSeqCst);
        const bool turned = seen / EventWord::kTurn != since_ / EventWord::kTurn;
        since_ = seen;
        return (seen & EventWord::kSet) != 0 || turned;
    }
    void mark() noexcept override { arm_bell(layout_.bell); }

    EventLayout& layout_;
    std::uint32_t since_;
};

}  // namespace

namespace detail {

std::shared_ptr<WaitSource> word_is_free(const void* lock, Atomic<std::uint64_t>& word) {
    return std::make_shared<WordWait>(lock, word);
}

std::shared_ptr<WaitSource> shared_is_free(const void* lock, const SharedWords& words, bool alone) {
    return std::make_shared<SharedWait>(lock, words, alone);
}

std::shared_ptr<WaitSource> permit_is_free(const void* semaphore, std::span<Atomic<Holder>> holders,
                                           Atomic<std::uint32_t>& bell) {
    return std::make_shared<PermitWait>(semaphore, holders, bell);
}

}  // namespace detail

Waitable when_posted(SignalSemaphore& semaphore) {
    return Waitable{std::make_shared<PostWait>(semaphore, WaitWords::of(semaphore).bell)};
}

Waitable when_set(Event& event) {
    return Waitable{std::make_shared<EventWait>(event, WaitWords::of(event))};
}

}  // namespace stoa
