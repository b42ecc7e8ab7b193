// The changes of the two words that all operations share, and what the observer notes of them.
#include "tests/model/pool_steps.hpp"

namespace stoa::model {

// ---- The words ---------------------------------------------------------------------------------

bool PoolStep::swap_slot(int index, const SlotWord& seen, SlotWord next) {
    SlotWord& word = state_.slots[at(index)];
    if (word != seen) return false;
    word = next;
    return true;
}

// Every transition of a header, adoption included, makes a new epoch.
bool PoolStep::swap_header(int chunk, const HeaderWord& seen, HeaderWord next) {
    HeaderWord& word = state_.headers[at(chunk)];
    if (word != seen) return false;
    next.epoch = byte(seen.epoch + 1);
    word = next;
    if (next.state == ChunkState::free) state_.notes[at(chunk)] = {};  // nobody's, so never read
    return true;
}

// CAS the header that was read to {epoch + 1, BORROWED(who, takes)}; skipped only if it already
// says exactly that. False: the header moved on.
bool PoolStep::adopt(const SlotWord& taken) {
    const HeaderWord& seen = my_.header;
    const bool is_same_take = seen.takes == taken.takes || broken(Mutant::adopt_owner_only);
    if (seen.state == ChunkState::borrowed && seen.owner == taken.who && is_same_take) return true;
    HeaderWord next = seen;
    next.state = ChunkState::borrowed;
    next.owner = taken.who;
    next.takes = taken.takes;
    if (broken(Mutant::adopt_owner_only)) {
        HeaderWord& word = state_.headers[taken.chunk];
        if (word != seen) return false;
        word.state = next.state;
        word.owner = next.owner;
        return true;
    }
    if (!swap_header(taken.chunk, seen, next)) return false;
    if (seen.state != ChunkState::loaned && seen.state != ChunkState::borrowed) {
        fault_ = "a header was adopted that is neither LOANED nor BORROWED";
    }
    return true;
}

// A raise makes a new generation, also when the flag is up.
void PoolStep::raise() {
    if (!broken(Mutant::no_generation)) ++state_.flag.generation;
    state_.flag.up = true;
}

// The redelivery of a lease: {REDELIVER, count + 1}, or DEAD_LETTER past k.
bool PoolStep::put_back(int chunk, const HeaderWord& seen, bool died) {
    HeaderWord next = seen;
    next.owner = 0;
    next.takes = 0;
    if (!broken(Mutant::count_not_kept) && next.count < kNever) ++next.count;
    next.state = next.count > config_.k ? ChunkState::dead_letter : ChunkState::redeliver;
    if (next.state == ChunkState::dead_letter && died) next.owner = 1;  // a letter's word says why
    if (!swap_header(chunk, seen, next)) return false;
    if (next.state == ChunkState::dead_letter) {
        note_settled(chunk);
    } else if (state_.payloads[at(chunk)] != kUnwritten) {
        state_.stories[state_.payloads[at(chunk)]].was_put_back = true;
        state_.stories[state_.payloads[at(chunk)]].fate = Fate::none;
    }
    return true;
}

// ---- What the observer notes --------------------------------------------------------------------

void PoolStep::note_delivery(int chunk, int receiver) {
    const int message = state_.payloads[at(chunk)];
    if (message == kUnwritten) {
        fault_ = "a payload was delivered that nobody had written";
        return;
    }
    MessageStory& story = state_.stories[at(message)];
    if (story.was_settled) fault_ = "a message was delivered again after it was settled";
    const int sender = message / config_.messages;
    if (config_.receipts > 0 && receiver == sender && !story.sender_died) {  // it took it back
        story.fate = Fate::taken_back;
        if (story.told != Outcome::none) fault_ = "a message was withdrawn after its receipt ended";
        if (!config_.ack) story.was_settled = true;
        return;
    }
    if (story.told == Outcome::withdrawn && !story.sender_died) {
        fault_ = "a message was delivered after its sender learned that it is withdrawn";
    }
    if (!config_.ack) story.fate = Fate::delivered;
    story.taker = byte(receiver);
    story.taker_died = state_.participants[at(receiver)].life == Life::dead;
    if (!config_.ack) story.was_settled = true;
    if (config_.ack && config_.k != kNever && ++story.deliveries > config_.k + 1) {
        fault_ = "a message was delivered past its limit";
    }
    const int stream = message / config_.messages;
    if (story.was_put_back || stream >= config_.senders) return;
    std::uint8_t& newest = state_.newest[at(receiver)][at(stream)];
    const auto order = byte(message % config_.messages + 1);
    if (newest >= order) fault_ = "messages of one sender came out of order";
    newest = order;
}

void PoolStep::note_settled(int chunk, Fate fate) {
    const int message = state_.payloads[at(chunk)];
    if (message == kUnwritten) {
        fault_ = "a payload was settled that nobody had written";
        return;
    }
    if (state_.stories[at(message)].was_settled) fault_ = "a message was settled twice";
    state_.stories[at(message)].was_settled = true;
    state_.stories[at(message)].fate = fate;
}

// What a sender learns must be what happened, and once.
void PoolStep::note_told(int message, Outcome outcome) {
    MessageStory& story = state_.stories[at(message)];
    if (story.told != Outcome::none) fault_ = "a receipt ended twice";
    story.told = outcome;
    const bool was_delivered = story.taker != kNobody;
    bool is_true = false;
    switch (outcome) {
        case Outcome::taken:
            is_true = config_.ack ? was_delivered : story.fate == Fate::delivered;
            break;
        case Outcome::acked: is_true = story.fate == Fate::acked; break;
        case Outcome::withdrawn: is_true = story.fate == Fate::taken_back; break;
        case Outcome::receiver_died:
            is_true = was_delivered && story.taker_died &&
                      story.fate == (config_.ack ? Fate::letter : Fate::delivered);
            break;
        case Outcome::dead_letter: is_true = story.fate == Fate::letter; break;
        case Outcome::none:
        case Outcome::pending: break;
    }
    if (!is_true && !story.sender_died) fault_ = "a receipt told what did not happen";
}

}  // namespace stoa::model
