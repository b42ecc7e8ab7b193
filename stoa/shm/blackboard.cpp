// Order of who adds a key:
//   K1 CAS the word of a key 0 -> me (or from a dead one, whom no index word names)
//      write its text                       nobody reads it: no index word names it
//   K2 CAS the first index word of this text that is 0 -> the key's number + 1: it is there
//   K3 the key's word says named             a hint: who finds me dead looks for K2 itself
// Death before K1: nothing. K1 to K2: the word names a dead one, and the next who needs a key takes
// it. After K2: the key is there, and the next who needs one does K3.
// Two who add one text try the same index words in the same order: one of them wins the first that
// is 0, the other one then reads its text there and gives its own key back.
#include "stoa/shm/blackboard.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace stoa::detail {
namespace {

constexpr std::uint32_t kNoKey = ~std::uint32_t{0};

using Text = std::array<char, kKeyBytes + 1>;

Result<Text> text_of(std::string_view key) noexcept {
    if (key.empty() || key.size() > kKeyBytes || key.find('\0') != std::string_view::npos)
        return fail(Errc::bad_argument, "key (1 to 55 bytes, none of them zero)");
    Text text{};
    std::ranges::copy(key, text.begin());
    return text;
}

std::uint32_t hash_of(std::string_view key) noexcept {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : key) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211ULL;
    return static_cast<std::uint32_t>(hash ^ hash >> 32U);
}

bool holds(BlackboardLook board, std::uint32_t number, const Text& text) noexcept {
    return number < board.keys.size() &&
           std::memcmp(board.keys[number].text, text.data(), text.size()) == 0;
}

// Walks the index words of this text: its number, or kNoKey and where the first 0 is.
std::uint32_t walk(BlackboardLook board, std::uint32_t hash, const Text& text,
                   std::uint32_t& at) noexcept {
    const auto words = static_cast<std::uint32_t>(board.index.size());
    for (std::uint32_t i = 0; i < words; ++i, ++at) {
        const std::uint32_t seen = board.index[(hash + at) & (words - 1)].load(kAcquire);  // <- K2
        if (seen == 0) return kNoKey;
        if (holds(board, seen - 1, text)) return seen - 1;
    }
    return kNoKey;
}

bool is_named(BlackboardLook board, std::uint32_t number) noexcept {
    return std::ranges::any_of(board.index, [&](const Atomic<std::uint32_t>& word) {
        return word.load(kAcquire) == number + 1;  // <- K2
    });
}

// K1: a key of our own. `of_dead`: one that a dead one was about to add.
std::uint32_t take_key(BlackboardView board, const Here& at, bool of_dead) noexcept {
    const auto count = static_cast<std::uint32_t>(board.keys.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        Atomic<std::uint64_t>& word = board.keys[i].word;
        std::uint64_t seen = word.load(kAcquire);
        if (of_dead ? (seen == 0 || seen == KeyWord::kNamed) : seen != 0) continue;
        if (of_dead) {
            if (!at.is_gone(seen)) continue;
            STOA_CRASH_POINT("blackboard.dead");
            if (is_named({board.keys, board.index}, i)) {
                word.compare_exchange_strong(seen, KeyWord::kNamed, kAcqRel, kRelaxed);  // its K3
                continue;
            }
        }
        if (word.compare_exchange_strong(seen, at.me, kAcqRel, kRelaxed)) return i;  // K1
    }
    return kNoKey;
}

}  // namespace

std::string_view key_text(const BlackboardKey& key) noexcept {
    return {key.text, ::strnlen(key.text, kKeyBytes)};
}

Result<std::uint32_t> find_key(BlackboardLook board, std::string_view key) noexcept {
    const Result<Text> text = text_of(key);
    if (!text) return fail(Errc::not_found, "key");
    std::uint32_t at = 0;
    const std::uint32_t found = walk(board, hash_of(key), *text, at);
    if (found == kNoKey) return fail(Errc::not_found, "key");
    return found;
}

Result<std::uint32_t> add_key(BlackboardView board, std::string_view key) noexcept {
    const Result<Text> text = text_of(key);
    if (!text) return std::unexpected(text.error());
    const Here at = here(board.keys.data());
    if (at.me == 0) return fail(Errc::forked, "claim");
    const BlackboardLook look{board.keys, board.index};
    const std::uint32_t hash = hash_of(key);
    std::uint32_t place = 0;
    if (const std::uint32_t found = walk(look, hash, *text, place); found != kNoKey) return found;

    std::uint32_t mine = take_key(board, at, false);
    if (mine == kNoKey) mine = take_key(board, at, true);
    if (mine == kNoKey) {
        place = 0;  // somebody may have added this very key
        const std::uint32_t found = walk(look, hash, *text, place);
        if (found != kNoKey) return found;
        return fail(Errc::full, "claim (every key of the blackboard is taken, for good)");
    }
    STOA_CRASH_POINT("blackboard.taken");
    std::memcpy(board.keys[mine].text, text->data(), text->size());
    const auto words = static_cast<std::uint32_t>(board.index.size());
    for (place = 0; place < words; ++place) {
        const std::uint32_t found = walk(look, hash, *text, place);
        if (found != kNoKey) {
            board.keys[mine].word.store(0, kRelease);
            return found;
        }
        std::uint32_t nobody = 0;
        Atomic<std::uint32_t>& word = board.index[(hash + place) & (words - 1)];
        STOA_CRASH_POINT("blackboard.before_publish");
        if (word.compare_exchange_strong(nobody, mine + 1, kAcqRel, kAcquire)) {  // K2
            board.keys[mine].word.store(KeyWord::kNamed, kRelease);               // K3
            return mine;
        }
        if (holds(look, nobody - 1, *text)) {
            board.keys[mine].word.store(0, kRelease);
            return nobody - 1;
        }
    }
    board.keys[mine].word.store(0, kRelease);
    return fail(Errc::corrupt, "claim (the index of the blackboard is damaged)");
}

}  // namespace stoa::detail
