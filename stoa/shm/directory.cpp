#include "stoa/shm/directory.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "stoa/base/crash_point.hpp"
#include "stoa/base/fingerprint.hpp"
#include "stoa/sync/bell.hpp"

namespace stoa {
namespace {

// As many entries as fill a page, and as many more each time it grows.
constexpr std::uint32_t kStep = kPage / sizeof(ObjectEntry);

std::uint64_t hash_of(std::string_view name) noexcept {
    return fingerprint_of(name) & ObjectWord::kHashMask;
}

void store_name(ObjectEntry& entry, std::string_view name) noexcept {
    char copy[kObjectNameBytes]{};
    name.copy(copy, sizeof copy);
    for (std::size_t i = 0; i < std::size(entry.name); ++i) {
        std::uint64_t word = 0;
        std::memcpy(&word, copy + i * 8, 8);
        entry.name[i].store(word, kRelaxed);
    }
    entry.name_bytes.store(static_cast<std::uint32_t>(name.size()), kRelaxed);
}

std::string_view load_name(const ObjectEntry& entry, char (&copy)[kObjectNameBytes]) noexcept {
    for (std::size_t i = 0; i < std::size(entry.name); ++i) {
        const std::uint64_t word = entry.name[i].load(kAcquire);
        std::memcpy(copy + i * 8, &word, 8);
    }
    return {copy, std::min(entry.name_bytes.load(kAcquire), kObjectNameBytes)};
}

std::uint64_t unix_ns() noexcept {
    return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                                      std::chrono::nanoseconds{1});
}

Result<void> check_object_name(std::string_view name) noexcept {
    if (!name.empty() && name.size() <= kObjectNameBytes &&
        name.find('\0') == std::string_view::npos) {
        return {};
    }
    return fail(Errc::bad_name, "object (its name has 1 to 80 bytes)");
}

}  // namespace

Result<void> Directory::create(std::span<std::byte> content, std::uint32_t max_objects) noexcept {
    auto* layout = layout_at<ObjectsLayout>(content, 0);
    if (layout == nullptr || max_objects == 0 || max_objects > kMaxObjects) {
        return fail(Errc::bad_argument, "region (max_objects is 1 to 1048576)");
    }
    layout->magic = kObjectsMagic;
    layout->version = kObjectsVersion;
    layout->max_objects = max_objects;
    return {};
}

Result<Directory> Directory::attach(std::span<std::byte> content, ReserveContent reserve,
                                    void* context) noexcept {
    auto* layout = layout_at<ObjectsLayout>(content, 0);
    if (layout == nullptr || layout->magic != kObjectsMagic) {
        return fail(Errc::bad_layout, "region.objects");
    }
    if (layout->version != kObjectsVersion) return fail(Errc::wrong_version, "region.objects");
    Directory directory;
    directory.layout_ = layout;
    directory.max_objects_ = layout->max_objects;
    if (directory.max_objects_ == 0 || directory.max_objects_ > kMaxObjects) {
        return fail(Errc::bad_layout, "region.objects");
    }
    const ObjectsParts parts = objects_parts(directory.max_objects_);
    directory.words_ =
        layout_at<Atomic<std::uint64_t>>(content, parts.words, directory.max_objects_);
    directory.entries_ = layout_at<ObjectEntry>(content, parts.entries, directory.max_objects_);
    if (directory.words_ == nullptr || directory.entries_ == nullptr ||
        parts.heap > content.size()) {
        return fail(Errc::bad_layout, "region.objects");
    }
    directory.reserve_ = reserve;
    directory.context_ = context;
    return directory;
}

std::uint32_t Directory::usable() const noexcept {
    return std::min(layout_->usable.load(kSeqCst), max_objects_);
}

bool Directory::is_name(std::uint32_t index, std::string_view name) const noexcept {
    char copy[kObjectNameBytes];
    return load_name(entries_[index], copy) == name;
}

bool Directory::look(std::uint32_t index, Named& seen) const noexcept {
    const std::uint64_t word = words_[index].load(kSeqCst);
    if (ObjectWord::state(word) != ObjectState::live) return false;
    const ObjectEntry& entry = entries_[index];
    char copy[kObjectNameBytes];
    // acquire: none of these reads may sink below the last look, which says that they were of one.
    seen.index = index;
    seen.word = word;
    seen.block = entry.block.load(kAcquire);
    seen.bytes = entry.bytes.load(kAcquire);
    seen.fingerprint = entry.fingerprint.load(kAcquire);
    seen.made_ns = entry.made_ns.load(kAcquire);
    seen.text_bytes = entry.text_bytes.load(kAcquire);
    seen.name = load_name(entry, copy);
    return words_[index].load(kRelaxed) == word;
}

// Who else has this name, or is about to.
Directory::Others Directory::look_at_others(const Here& at, std::string_view name,
                                            std::uint64_t hash, std::optional<std::uint32_t> own,
                                            Other& who) noexcept {
    Others found = Others::none;
    const std::uint32_t count = usable();
    for (std::uint32_t i = 0; i < count; ++i) {
        std::uint64_t word = words_[i].load(kSeqCst);
        while (i != own && ObjectWord::hash(word) == hash &&
               ObjectWord::state(word) >= ObjectState::tentative && is_name(i, name)) {
            const ObjectState state = ObjectWord::state(word);
            if (state == ObjectState::live) {
                if (words_[i].load(kSeqCst) == word) return Others::exists;
                word = words_[i].load(kSeqCst);  // the name was another one's
                continue;
            }
            if (state == ObjectState::tentative) {
                // Without a claim of ours there is nothing to decide yet.
                if (!own) break;
                const std::uint64_t emptied = ObjectWord::emptied(word);
                if (words_[i].compare_exchange_strong(word, emptied, kSeqCst)) break;  // C4
                continue;
            }
            if (at.is_gone(ObjectWord::holder(word))) {
                take_over(at, i, word);
                word = words_[i].load(kSeqCst);
                continue;
            }
            who = {i, word};
            found = Others::busy;
            break;
        }
    }
    return found;
}

Result<void> Directory::grow(std::uint32_t from) noexcept {
    if (from >= max_objects_) {
        return fail(Errc::no_free_place,
                    "construct (max_objects names are in use; create the region with more)");
    }
    const std::uint32_t to = std::min(from + kStep, max_objects_);
    const ObjectsParts parts = objects_parts(max_objects_);
    Result<void> done =
        reserve_(context_, parts.words + std::uint64_t{from} * 8, std::uint64_t{to - from} * 8);
    if (done) {
        done = reserve_(context_, parts.entries + std::uint64_t{from} * sizeof(ObjectEntry),
                        std::uint64_t{to - from} * sizeof(ObjectEntry));
    }
    if (!done) return done;
    std::uint32_t expected = from;
    layout_->usable.compare_exchange_strong(expected, to, kSeqCst);
    return {};
}

// C1.
Result<std::uint32_t> Directory::take_empty(const Here& at, std::uint64_t hash) noexcept {
    for (;;) {
        const std::uint32_t count = usable();
        for (std::uint32_t i = 0; i < count; ++i) {
            std::uint64_t word = words_[i].load(kRelaxed);
            const ObjectState state = ObjectWord::state(word);
            const bool is_free =
                state == ObjectState::empty ||
                (state <= ObjectState::tentative && at.is_gone(ObjectWord::holder(word)));
            if (is_free && words_[i].compare_exchange_strong(
                               word, ObjectWord::claimed(word, at.me, hash), kSeqCst)) {
                return i;
            }
        }
        if (Result<void> grown = grow(count); !grown) return std::unexpected(grown.error());
    }
}

Result<std::uint32_t> Directory::claim(const Here& at, std::string_view name,
                                       Deadline deadline) noexcept {
    if (at.me == 0) return fail(Errc::forked, "construct");
    if (Result<void> good = check_object_name(name); !good) return std::unexpected(good.error());
    const std::uint64_t hash = hash_of(name);
    for (;;) {
        Other who;
        Others others = look_at_others(at, name, hash, {}, who);
        if (others == Others::none) {
            const Result<std::uint32_t> own = take_empty(at, hash);
            if (!own) return own;
            STOA_CRASH_POINT("directory.claimed");
            ObjectEntry& entry = entries_[*own];
            store_name(entry, name);  // C2
            entry.block.store(0, kRelaxed);
            entry.section.store(0, kRelaxed);
            const std::uint64_t tentative =
                ObjectWord::of(ObjectState::tentative, at.me, words_[*own].load(kRelaxed));
            words_[*own].store(tentative, kSeqCst);  // C3
            STOA_CRASH_POINT("directory.tentative");
            others = look_at_others(at, name, hash, *own, who);  // C4
            std::uint64_t seen = tentative;
            const std::uint64_t next =
                others == Others::none ? ObjectWord::of(ObjectState::constructing, at.me, tentative)
                                       : ObjectWord::emptied(tentative);
            const bool is_ours = words_[*own].compare_exchange_strong(seen, next, kSeqCst);  // C5
            if (others == Others::none) {
                if (is_ours) return *own;
                continue;
            }
        }
        if (others == Others::exists) return fail(Errc::exists, "construct");
        if (Result<void> waited = await(at, who, deadline); !waited) {
            return std::unexpected(waited.error());
        }
    }
}

// Until the word of another one that constructs or destroys changes.
Result<void> Directory::await(const Here& at, const Other& other, Deadline deadline) noexcept {
    const auto ready = [&] { return words_[other.index].load(kSeqCst) != other.word; };
    const auto look = [&](bool due) { return !due || !at.is_gone(ObjectWord::holder(other.word)); };
    bool slept = false;
    if (deadline.is_immediate()) {
        if (ready()) return {};
        return fail(Errc::in_use, "construct (another one is at it)");
    }
    const Waited waited =
        wait_on_bell(layout_->bell, deadline, Waiting::adaptive, slept, ready, look);
    if (waited != Waited::timed_out) return {};
    return fail(Errc::timed_out, "construct (another one is at it)");
}

void Directory::publish(const Here& at, std::uint32_t index) noexcept {
    entries_[index].made_ns.store(unix_ns(), kRelaxed);
    const std::uint64_t mine = words_[index].load(kRelaxed);
    words_[index].store(ObjectWord::of(ObjectState::complete, at.me, mine), kSeqCst);
    STOA_CRASH_POINT("directory.complete");
    settle(at, index);
}

// What is COMPLETE becomes final, and is found.
void Directory::settle(const Here& at, std::uint32_t index) noexcept {
    memory_->settle(entries_[index]);
    STOA_CRASH_POINT("directory.settled");
    const std::uint64_t mine = words_[index].load(kRelaxed);
    words_[index].store(ObjectWord::of(ObjectState::live, at.me, mine), kSeqCst);
    ring_bell_for_all(layout_->bell);
}

void Directory::empty(std::uint32_t index) noexcept {
    words_[index].store(ObjectWord::emptied(words_[index].load(kRelaxed)), kSeqCst);
    ring_bell_for_all(layout_->bell);
}

void Directory::withdraw(std::uint32_t index) noexcept {
    memory_->undo(entries_[index]);
    empty(index);
}

Result<Named> Directory::find(std::string_view name) const noexcept {
    const std::uint64_t hash = hash_of(name);
    const std::uint32_t count = usable();
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint64_t word = words_[i].load(kRelaxed);
        if (ObjectWord::hash(word) != hash || ObjectWord::state(word) != ObjectState::live) {
            continue;
        }
        Named seen;
        if (look(i, seen) && seen.name == name) return seen;
    }
    return fail(Errc::not_found, "object");
}

Result<std::uint32_t> Directory::condemn(const Here& at, const Named& seen) noexcept {
    if (at.me == 0) return fail(Errc::forked, "destroy");
    std::uint64_t word = seen.word;
    const std::uint64_t mine = ObjectWord::of(ObjectState::destroying, at.me, word);
    if (!words_[seen.index].compare_exchange_strong(word, mine, kSeqCst)) {
        return fail(Errc::not_found, "destroy");
    }
    STOA_CRASH_POINT("directory.condemned");
    if (!is_name(seen.index, seen.name)) {  // the word came round: another object has it now
        words_[seen.index].store(word, kSeqCst);
        return fail(Errc::not_found, "destroy");
    }
    return seen.index;
}

void Directory::remove(std::uint32_t index) noexcept {
    memory_->end(entries_[index]);
    STOA_CRASH_POINT("directory.ended");
    empty(index);
}

// `seen` names somebody who is gone: of several that find that one ends it.
void Directory::take_over(const Here& at, std::uint32_t index, std::uint64_t seen) noexcept {
    const ObjectState state = ObjectWord::state(seen);
    const bool half_way = state >= ObjectState::constructing;
    const std::uint64_t next =
        half_way ? ObjectWord::of(state, at.me, seen) : ObjectWord::emptied(seen);
    if (!words_[index].compare_exchange_strong(seen, next, kSeqCst)) return;
    STOA_CRASH_POINT("directory.taken_over");
    if (state == ObjectState::constructing) return withdraw(index);
    if (state == ObjectState::complete) return settle(at, index);
    if (state == ObjectState::destroying) return remove(index);
}

void Directory::recover(const Here& at, std::uint32_t dead) noexcept {
    const std::uint32_t count = usable();
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint64_t word = words_[i].load(kSeqCst);
        if (ObjectWord::state(word) == ObjectState::empty ||
            holder_index(ObjectWord::holder(word)) != dead) {
            continue;
        }
        if (ObjectWord::state(word) != ObjectState::live && at.is_gone(ObjectWord::holder(word))) {
            take_over(at, i, word);
        }
    }
}

}  // namespace stoa
