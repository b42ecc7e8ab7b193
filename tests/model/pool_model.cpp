#include "tests/model/pool_model.hpp"

#include <bit>

#include "tests/model/pool_steps.hpp"

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}
constexpr std::uint8_t byte(int value) {
    return static_cast<std::uint8_t>(value);
}

bool is_live(const Participant& participant) {
    return participant.life == Life::running;
}

bool has_sent_all(const Participant& participant) {
    return participant.role == Role::receiver ||
           participant.next_message == participant.end_message;
}

}  // namespace

PoolState PoolModel::initial() const {
    PoolState state{};
    state.payloads.fill(kUnwritten);
    state.hints = byte((1 << config_.chunks) - 1);
    state.table = byte(config_.senders + config_.receivers);
    for (int i = 0; i < state.table; ++i) {
        Participant& my = state.participants[at(i)];
        my.life = Life::running;
        my.role = i < config_.senders ? Role::sender : Role::receiver;
        state.records[at(i)].state = RecordState::live;
        if (my.role == Role::receiver) continue;
        my.next_message = byte(i * config_.messages);
        my.end_message = byte((i + 1) * config_.messages);
    }
    return state;
}

// ---- What can happen next -----------------------------------------------------------------------

void PoolModel::moves(const PoolState& state, Moves<PoolState>& out) const {
    for (int who = 0; who < state.table; ++who) {
        const Participant& my = state.participants[at(who)];
        if (config_.mutant == Mutant::detach_announced && (state.late_clears >> who & 1) != 0) {
            PoolState& next = out.draft(state);
            next.sweeping[at(who)] = {};
            next.late_clears = byte(next.late_clears & ~(1 << who));
            out.take_progress(who, "clears its word after it left");
        }
        if (!is_live(my)) continue;
        if (my.pc == Pc::idle) {
            idle_moves(state, who, out);
        } else {
            PoolStep step(config_, out.draft(state), who);
            const char* fault = step.run();
            take(out, state, who, PoolStep::name_of(my.pc), fault);
        }
        crash_and_freeze(state, who, out);
    }
    attach_moves(state, out);
}

// Where receivers are no help, what they do is not what an end may depend on.
void PoolModel::take(Moves<PoolState>& out, const PoolState& state, int who, const char* what,
                     const char* fault) const {
    const bool is_help = config_.alone && state.participants[at(who)].role == Role::receiver;
    if (is_help && fault == nullptr) {
        out.take_environment(who, what);
    } else {
        out.take_progress(who, what, fault);
    }
}

void PoolModel::idle_moves(const PoolState& state, int who, Moves<PoolState>& out) const {
    const Participant& my = state.participants[at(who)];
    begin_or_end(state, who, out);
    if (PoolStep(config_, out.draft(state), who).begin_settle()) {
        take(out, state, who, "settles");
    }
    if (PoolStep(config_, out.draft(state), who).begin_withdraw()) {
        take(out, state, who, "withdraws");
    }
    for (int victim = 0; victim < state.table; ++victim) {
        if (my.role == Role::sender && !config_.all_sweep) break;
        if (state.participants[at(victim)].life != Life::dead) continue;
        if (PoolStep(config_, out.draft(state), who).begin_sweep(victim)) {
            take(out, state, who, "begins a sweep");
        }
    }
    const bool may_leave = state.detaches < config_.detaches && has_sent_all(my);
    if (may_leave && (my.role == Role::sender || can_lose(state, who))) {
        PoolState& next = out.draft(state);
        ++next.detaches;
        PoolStep(config_, next, who).begin_detach();
        out.take_environment(who, "detaches");
    }
}

void PoolModel::begin_or_end(const PoolState& state, int who, Moves<PoolState>& out) const {
    const bool sends = state.participants[at(who)].role == Role::sender;
    {
        PoolStep step(config_, out.draft(state), who);
        if (sends && step.begin_loan()) take(out, state, who, "loans a chunk");
        if (!sends && step.begin_receive()) take(out, state, who, "reads the flag");
    }
    for (int chunk = 0; chunk < config_.chunks; ++chunk) {
        if (!sends && config_.drain &&
            PoolStep(config_, out.draft(state), who).begin_drain(chunk)) {
            take(out, state, who, "drains a dead letter");
        }
        if ((state.participants[at(who)].held >> chunk & 1) == 0) continue;
        if (sends) {
            PoolStep(config_, out.draft(state), who).begin_commit(chunk);
            take(out, state, who, "fills its loan");
        }
        if (!sends || config_.abandon) {
            PoolStep step(config_, out.draft(state), who);
            step.end_loan(chunk);
            take(out, state, who, "ends a loan", step.fault());
        }
        if (!sends && config_.ack && config_.nack) {
            PoolStep step(config_, out.draft(state), who);
            step.nack(chunk);
            take(out, state, who, "nacks", step.fault());
        }
    }
}

// Someone must be left to receive, or be able to come.
bool PoolModel::can_lose(const PoolState& state, int who) const {
    for (int i = 0; i < state.table; ++i) {
        const Participant& other = state.participants[at(i)];
        const bool is_leaving = remembers(other.pc).victim && other.victim.index == i;
        const bool receives = is_live(other) && other.role == Role::receiver && !is_leaving;
        if (i != who && receives) return true;
    }
    return config_.heirs && config_.attach_role == Role::receiver &&
           state.attaches < config_.attaches;
}

void PoolModel::crash_and_freeze(const PoolState& state, int who, Moves<PoolState>& out) const {
    const Participant& my = state.participants[at(who)];
    if (my.role == Role::receiver && !can_lose(state, who)) return;
    if (state.crashes < config_.crashes) {
        PoolState& next = out.draft(state);
        next.participants[at(who)] = Participant{};
        next.participants[at(who)].life = Life::dead;
        for (std::size_t i = 0; i < next.stories.size(); ++i) {
            MessageStory& story = next.stories[i];
            if (story.taker == who) story.taker_died = true;
            const bool sends = my.role == Role::sender && my.end_message > i;
            if (sends && i + at(config_.messages) >= my.end_message) story.sender_died = true;
        }
        ++next.crashes;
        out.take_environment(who, "DIES");
    }
    const bool is_at_rest =
        my.pc == Pc::idle && has_sent_all(my) && my.role == Role::sender && !my.ticket.is_open;
    if (state.freezes < config_.freezes && !is_at_rest) {
        PoolState& next = out.draft(state);
        next.participants[at(who)].life = Life::frozen;
        ++next.freezes;
        out.take_environment(who, "STOPS FOR EVER");
    }
}

void PoolModel::attach_moves(const PoolState& state, Moves<PoolState>& out) const {
    for (int newcomer = 0; newcomer < config_.newcomers; ++newcomer) {
        const bool is_idle = state.newcomers[at(newcomer)].pc == AttachPc::idle;
        const int choices = !is_idle ? 1 : state.attaches < config_.attaches ? state.table + 1 : 0;
        for (int choice = 0; choice < choices; ++choice) {
            if (!step_newcomer(config_, out.draft(state), newcomer, choice)) continue;
            if (config_.heirs) {
                out.take_progress(kNobody, "newcomer");
            } else {
                out.take_environment(kNobody, "newcomer");
            }
        }
    }
}

// ---- What is a clean end ------------------------------------------------------------------------

// A message is in the hands of a receiver that stopped between its two slot CASes.
bool PoolModel::is_in_stopped_take(const PoolState& state, int chunk) const {
    for (int i = 0; i < config_.slots; ++i) {
        const SlotWord& word = state.slots[at(i)];
        if (word.kind == SlotKind::taken && word.chunk == chunk &&
            state.participants[word.who].life == Life::frozen) {
            return true;
        }
    }
    return false;
}

// Who stopped between putting its own lease back and raising the flag keeps that lease to itself.
bool PoolModel::has_hidden_redelivery(const PoolState& state) const {
    for (int i = 0; i < state.table; ++i) {
        const Participant& my = state.participants[at(i)];
        if (my.life != Life::frozen) continue;
        const bool sweeps_itself = remembers(my.pc).victim && my.victim.index == i;
        if (my.pc == Pc::nack_raise || sweeps_itself) return true;
    }
    return false;
}

bool PoolModel::is_end(const PoolState& state) const {
    bool has_receiver = false;
    for (int i = 0; i < state.table; ++i) {
        const Participant& my = state.participants[at(i)];
        if (my.life == Life::dead && state.records[at(i)].state != RecordState::free) return false;
        if (!is_live(my)) continue;
        if (my.pc != Pc::idle || my.held != 0) return false;
        // A lease of one that stopped holds up whoever waits for its ack.
        const bool waits = my.ticket.is_open && is_held_up(state, my.ticket.message);
        if (!waits && (my.ticket.is_open || !has_sent_all(my))) return false;
        has_receiver = has_receiver || my.role == Role::receiver;
    }
    if (!has_receiver || state.flag.up || state.late_clears != 0) return false;
    for (int i = 0; i < config_.slots; ++i) {
        const SlotWord& word = state.slots[at(i)];
        if (word.kind != SlotKind::empty && !is_in_stopped_take(state, word.chunk)) return false;
    }
    for (int i = 0; i < config_.chunks; ++i) {
        if (state.headers[at(i)].state == ChunkState::redeliver && !has_hidden_redelivery(state)) {
            return false;
        }
    }
    return true;
}

Ending PoolModel::ending(const PoolState& state) const {
    if (config_.alone) return {.is_clean = senders_rest(state), .fault = nullptr};
    if (!is_end(state)) return {};
    return {.is_clean = true, .fault = damage(state)};
}

// Only the stopped may still hold anything at the end, and nothing may be lost.
const char* PoolModel::damage(const PoolState& state) const {
    for (int i = 0; i < config_.all_messages(); ++i) {
        const MessageStory& story = state.stories[at(i)];
        if (story.was_settled && !story.was_sent) return "a message came that nobody had sent";
        if (story.was_sent && !story.was_settled && !is_held_up(state, i)) {
            return "a message was lost";
        }
    }
    for (int i = 0; i < config_.chunks; ++i) {
        const HeaderWord& header = state.headers[at(i)];
        const bool is_owned = header.state == ChunkState::loaned ||
                              header.state == ChunkState::borrowed ||
                              header.state == ChunkState::done;
        const bool has_stopped_owner =
            header.owner < state.table && state.participants[header.owner].life == Life::frozen;
        if (is_owned && !has_stopped_owner && !is_in_stopped_take(state, i)) {
            return "a chunk leaked";
        }
        const bool is_hinted = !config_.hints || (state.hints >> i & 1) != 0;
        if (header.state == ChunkState::free && !is_hinted && !has_stopped_hint(state, i)) {
            return "the hint of a FREE chunk was lost";
        }
    }
    for (int i = 0; i < config_.receipts; ++i) {
        const ReceiptWords& words = state.receipts[at(i)];
        if (!words.is_loaned) continue;
        const Participant& owner = state.participants[words.owner];
        const bool waits = is_live(owner) && owner.ticket.is_open && owner.ticket.ref.receipt == i;
        if (owner.life != Life::frozen && !waits) return "a receipt leaked";
    }
    for (int i = 0; i < state.table; ++i) {
        if (is_live(state.participants[at(i)]) && state.sweeping[at(i)].index != kNobody) {
            return "a participant at rest still announces a sweep";
        }
    }
    return nullptr;
}

// Where receivers are no help: every receipt has ended, or was never asked for.
bool PoolModel::senders_rest(const PoolState& state) const {
    for (int i = 0; i < state.table; ++i) {
        const Participant& my = state.participants[at(i)];
        if (!is_live(my) || my.role == Role::receiver) continue;
        if (my.pc != Pc::idle || my.ticket.is_open) return false;
    }
    return true;
}

bool PoolModel::is_held_up(const PoolState& state, int message) const {
    for (int i = 0; i < config_.chunks; ++i) {
        if (state.payloads[at(i)] != message) continue;
        const HeaderWord& header = state.headers[at(i)];
        if (is_in_stopped_take(state, i)) return true;
        if (!config_.ack) continue;
        if (header.state == ChunkState::redeliver) return true;  // is_end allowed it
        if (header.state == ChunkState::borrowed &&
            state.participants[header.owner].life == Life::frozen) {
            return true;
        }
    }
    return false;
}

// Who stopped between the header and its hint, or between the hint and the header.
bool PoolModel::has_stopped_hint(const PoolState& state, int chunk) const {
    for (int i = 0; i < state.table; ++i) {
        const Participant& my = state.participants[at(i)];
        if (my.life != Life::frozen) continue;
        const bool is_own = my.pc == Pc::loan_header || my.pc == Pc::give_hint;
        if (is_own && my.chunk == chunk) return true;
        if (my.pc == Pc::sweep_give_hint && my.index == chunk) return true;
    }
    return false;
}

// ---- For traces ---------------------------------------------------------------------------------

std::string PoolModel::text(const PoolState& state) const {
    std::string out;
    const auto number = [](int value) { return std::to_string(value); };
    for (int i = 0; i < config_.slots; ++i) {
        const SlotWord& word = state.slots[at(i)];
        static constexpr const char* kKinds[] = {"EMPTY", "FULL", "TAKEN", "REDELIVER"};
        out +=
            std::string(kKinds[static_cast<std::size_t>(word.kind)]) + "(lap " + number(word.lap);
        if (word.kind != SlotKind::empty) out += " chunk " + number(word.chunk);
        if (word.kind == SlotKind::taken) out += " by " + number(word.who);
        if (word.takes != 0) out += " takes " + number(word.takes);
        out += ") ";
    }
    out += "|";
    for (int i = 0; i < config_.chunks; ++i) {
        const HeaderWord& header = state.headers[at(i)];
        static constexpr const char* kStates[] = {"FREE",      "LOANED",      "BORROWED",
                                                  "REDELIVER", "DEAD_LETTER", "DONE"};
        out += std::string(" ") + kStates[static_cast<std::size_t>(header.state)];
        if (header.state == ChunkState::free) continue;
        out += "(" + number(header.owner) + " takes " + number(header.takes) + " count " +
               number(header.count) + " message " + number(state.payloads[at(i)]) + ")";
    }
    out += " | head " + number(state.head) + " tail " + number(state.tail);
    for (int i = 0; i < config_.receipts; ++i) {
        const ReceiptWords& words = state.receipts[at(i)];
        static constexpr const char* kOutcomes[] = {
            "none", "pending", "taken", "acked", "withdrawn", "receiver_died", "dead_letter"};
        out += " | receipt " + std::string(words.is_loaned ? "LOANED" : "FREE") + " tag " +
               number(words.tag) + " " + kOutcomes[static_cast<std::size_t>(words.outcome)] +
               " tag " + number(words.outcome_tag);
    }
    if (config_.hints) out += " hints " + number(state.hints);
    out += state.flag.up ? " flag up |" : " flag down |";
    for (int i = 0; i < state.table; ++i) {
        const Participant& my = state.participants[at(i)];
        static constexpr const char* kLives[] = {"absent", "", "stopped ", "dead", "gone"};
        static constexpr const char* kRecords[] = {"FREE", "CLAIMED", "LIVE"};
        out += " " + number(i) + ":" +
               kRecords[static_cast<std::size_t>(state.records[at(i)].state)] + "(" +
               number(state.records[at(i)].incarnation) + ") " +
               kLives[static_cast<std::size_t>(my.life)];
        if (my.life == Life::running || my.life == Life::frozen) out += PoolStep::name_of(my.pc);
        if (my.held != 0) out += " holds " + number(my.held);
        const SweepWord& word = state.sweeping[at(i)];
        if (word.index != kNobody) out += " sweeping " + number(word.index);
        out += ";";
    }
    return out;
}

}  // namespace stoa::model
