#include "tests/model/log_model.hpp"

#include <algorithm>

namespace stoa::model {
namespace {

constexpr std::uint8_t kTorn = 15;
constexpr std::uint8_t kNobody = 15;  // above every position

constexpr const char* kWriterNames[] = {
    "is idle",         "moves the floor", "reads a state",   "reads a hold", "reads a taken",
    "moves the floor", "grants",          "looks at a hold", "moves a hold", "writes a half",
    "writes it all",   "clears the next", "publishes"};
constexpr const char* kReaderNames[] = {"claims the seat",
                                        "drops: reads the state",
                                        "drops: checks the seat",
                                        "drops: ends the state",
                                        "drops: frees the seat",
                                        "reads the floor",
                                        "stores hold",
                                        "stores taken",
                                        "stores state",
                                        "checks the floor",
                                        "undoes",
                                        "looks",
                                        "claims",
                                        "looks at hold",
                                        "is it kept?",
                                        "reads",
                                        "is it still kept?",
                                        "takes",
                                        "looks again",
                                        "releases",
                                        "ends state",
                                        "frees the seat"};
constexpr const char* kSweeperNames[] = {"reads a dead one's state", "checks the seat",
                                         "ends the state", "frees the seat"};

std::uint8_t small(int value) {
    return static_cast<std::uint8_t>(value);
}

}  // namespace

LogModelState LogModel::initial() const {
    LogModelState state;
    for (LogPlaceState& one : state.places) one.payload = kTorn;
    return state;
}

// ---- What can happen next -----------------------------------------------------------------------

void LogModel::moves(const State& state, Moves<State>& out) const {
    const LogWriterState& writer = state.writer;
    if (writer.life == LogLife::running &&
        (writer.pc != WriterPc::idle || writer.tail < config_.messages)) {
        State& next = out.draft(state);
        const char* fault = step_writer(next);
        out.take_progress(0, kWriterNames[static_cast<std::size_t>(writer.pc)], fault);
    }
    for (int who = 0; who < count(); ++who) {
        if (!reader_can_step(state, who)) continue;
        State& next = out.draft(state);
        const char* fault = step_reader(next, who);
        const auto pc = static_cast<std::size_t>(state.readers[at(who)].pc);
        out.take_progress(1 + who, kReaderNames[pc], fault);
    }
    for (int who = 0; who < count(); ++who) {
        const LogLeaverState& leaver = state.leavers[at(who)];
        if (!leaves(leaver)) continue;
        State& next = out.draft(state);
        LogLeaverState& my = next.leavers[at(who)];
        if (step_leave(next.cursors[at(who)], my.pc, my.tenant, my.generation)) my = {};
        out.take_progress(6 + who, kReaderNames[static_cast<std::size_t>(leaver.pc)]);
    }
    for (int who = 0; who < config_.sweepers; ++who) {
        const LogSweeperState& sweeper = state.sweepers[at(who)];
        if (sweeper.is_dead) continue;
        for (int index = 0; index < count(); ++index) {
            const bool is_idle = sweeper.pc == SweeperPc::idle;
            if (is_idle ? !is_dead_tenant(state, index) : index != sweeper.index) continue;
            State& next = out.draft(state);
            next.sweepers[at(who)].index = small(index);
            step_sweeper(next, who);
            out.take_progress(4 + who, kSweeperNames[static_cast<std::size_t>(sweeper.pc)]);
        }
    }
    environment(state, out);
}

bool LogModel::is_dead_tenant(const State& state, int index) const {
    const int seat = state.cursors[at(index)].seat;
    const LogReaderState& reader = state.readers[at(index)];
    const LogLeaverState& leaver = state.leavers[at(index)];
    if (seat == 0 || (leaves(leaver) && seat == leaver.tenant)) return false;
    return seat < reader.tenant || reader.life == LogLife::dead;
}

bool LogModel::reader_can_step(const State& state, int who) const {
    const LogReaderState& my = state.readers[at(who)];
    if (my.life != LogLife::running) return false;
    if (my.pc != ReaderPc::claim_seat || state.cursors[at(who)].seat == 0) return true;
    return config_.overtakes;  // whoever is there went, or is on his way
}

void LogModel::environment(const State& state, Moves<State>& out) const {
    if (state.writer.life == LogLife::running && state.writer_crashes < config_.writer_crashes) {
        State& next = out.draft(state);
        ++next.writer_crashes;
        adopt(next);  // an heir comes at once: nobody else writes what it reads
        out.take_environment(0, "DIES, and its heir attaches");
    }
    for (int who = 0; who < count(); ++who) {
        const LogReaderState& my = state.readers[at(who)];
        if (my.life == LogLife::running && state.reader_crashes < config_.reader_crashes) {
            State& next = out.draft(state);
            next.readers[at(who)] = {.life = LogLife::dead, .tenant = my.tenant};
            ++next.reader_crashes;
            out.take_environment(1 + who, "DIES");
        }
        if (my.life == LogLife::running && my.pc == ReaderPc::look && config_.leaves) {
            State& next = out.draft(state);
            next.readers[at(who)].pc = ReaderPc::end_state;
            next.readers[at(who)].generation = state.cursors[at(who)].generation;
            out.take_environment(1 + who, "wants to leave");
        }
        const LogLeaverState& leaver = state.leavers[at(who)];
        if (leaves(leaver) && state.reader_crashes < config_.reader_crashes) {
            State& next = out.draft(state);
            next.leavers[at(who)] = {};
            ++next.reader_crashes;
            out.take_environment(6 + who, "DIES");
        }
        const bool is_leaving = my.life == LogLife::running &&
                                (my.pc == ReaderPc::end_state || my.pc == ReaderPc::free_seat);
        if (config_.overtakes && is_leaving && !leaves(leaver) &&
            state.attaches < config_.attaches) {
            State& next = out.draft(state);
            next.leavers[at(who)] = {my.pc, my.tenant, my.generation};
            next.readers[at(who)] = {.tenant = small(my.tenant + 1)};
            ++next.attaches;
            out.take_environment(1 + who, "ARRIVES, AND THE OTHER IS STILL LEAVING");
        }
        if (my.life != LogLife::running && state.attaches < config_.attaches) {
            State& next = out.draft(state);
            next.readers[at(who)] = {.tenant = small(my.tenant + 1)};
            ++next.attaches;
            out.take_environment(1 + who, "ARRIVES");
        }
    }
    for (int who = 1; who < config_.sweepers; ++who) {
        if (state.sweepers[at(who)].is_dead || state.sweeper_crashes >= config_.sweeper_crashes) {
            continue;
        }
        State& next = out.draft(state);
        next.sweepers[at(who)] = {.is_dead = true};
        ++next.sweeper_crashes;
        out.take_environment(4 + who, "DIES");
    }
}

// ---- The writer ---------------------------------------------------------------------------------

void LogModel::adopt(State& state) const {
    LogWriterState heir;
    heir.floor = state.floor;
    heir.tail = state.floor;
    while (place(state, heir.tail).is_ready && heir.tail < state.floor + config_.places) {
        ++heir.tail;
    }
    state.writer = heir;
}

const char* LogModel::step_writer(State& state) const {
    LogWriterState& my = state.writer;
    if (my.pc == WriterPc::idle) {
        const bool has_room = my.tail + 1 <= my.room_end && my.tail < my.granted;
        my.pc = has_room ? WriterPc::write : WriterPc::move_floor;
        my.index = 0;
        my.hold = my.taken = kNobody;
        if (!has_room) {
            const int of_room = my.tail + 2 - config_.places;
            const int of_bound = config_.bound == 0 ? 0 : my.tail + 1 - config_.bound;
            my.floor = small(std::max({int{my.floor}, of_room, of_bound}));
        }
        return nullptr;
    }
    if (my.pc >= WriterPc::write) return step_write(state);
    step_scan(state);
    return nullptr;
}

void LogModel::next_cursor(State& state, WriterPc again, WriterPc done) const {
    LogWriterState& my = state.writer;
    const bool is_last = ++my.index == count();
    if (is_last) my.index = 0;
    my.pc = is_last ? done : again;
}

// W1, then W2 and W3 for each cursor.
void LogModel::step_scan(State& state) const {
    LogWriterState& my = state.writer;
    const LogCursorState& cursor = state.cursors[at(my.index)];
    const bool is_late = broken(LogMutant::floor_behind_scan);
    const WriterPc done = is_late ? WriterPc::late_floor : WriterPc::grant;
    switch (my.pc) {
        case WriterPc::move_floor:
            if (!is_late) state.floor = std::max(state.floor, my.floor);
            my.pc = WriterPc::scan_state;
            return;
        case WriterPc::scan_state:
            if (cursor.is_active && cursor.seat != 0 && is_reliable(my.index)) {
                my.pc = WriterPc::scan_hold;
            } else {
                next_cursor(state, WriterPc::scan_state, done);
            }
            return;
        case WriterPc::scan_hold:
            my.hold = std::min(my.hold, cursor.hold);
            my.pc = WriterPc::scan_taken;
            return;
        case WriterPc::scan_taken:
            my.taken = std::min(my.taken, cursor.taken);
            return next_cursor(state, WriterPc::scan_state, done);
        case WriterPc::late_floor:
            state.floor = std::max(state.floor, my.floor);
            my.pc = WriterPc::grant;
            return;
        default: return grant(state);
    }
}

void LogModel::grant(State& state) const {
    LogWriterState& my = state.writer;
    const bool ignores = broken(LogMutant::grant_ignores_floor);
    const int lowest = ignores && my.hold != kNobody ? my.hold : std::min(my.hold, my.floor);
    my.room_end = small(lowest + config_.places - 1);
    const int behind =
        broken(LogMutant::bound_ignores_taken) ? int{my.floor} : std::min<int>(my.taken, my.floor);
    my.granted = small(config_.bound == 0 ? 14 : std::min(behind + config_.bound, 14));
    const bool has_room = my.tail + 1 <= my.room_end && my.tail < my.granted;
    my.hold = my.taken = 0;
    my.pc = has_room ? WriterPc::write : WriterPc::idle;
    if (!has_room) my.room_end = my.granted = 0;
}

// More than the bound waits for one who has joined.
const char* LogModel::over_bound(const State& state) const {
    for (int who = 0; config_.bound != 0 && who < count(); ++who) {
        const LogReaderState& reader = state.readers[at(who)];
        const LogCursorState& cursor = state.cursors[at(who)];
        if (!is_reliable(who) || reader.life != LogLife::running || !reader.is_joined) continue;
        if (state.writer.tail - cursor.taken > config_.bound)
            return "more wait than the bound allows";
    }
    return nullptr;
}

const char* LogModel::step_write(State& state) const {
    LogWriterState& my = state.writer;
    LogPlaceState& mine = place(state, my.tail);
    LogPlaceState& behind = place(state, my.tail + 1);
    switch (my.pc) {
        case WriterPc::write:
            if (broken(LogMutant::published_first)) mine.is_ready = true;
            mine.payload = kTorn;
            my.pc = WriterPc::write_more;
            return nullptr;
        case WriterPc::write_more:
            mine.payload = my.tail;
            my.pc = WriterPc::clear;
            return nullptr;
        case WriterPc::clear:
            if (!broken(LogMutant::next_not_cleared)) behind.is_ready = false;
            my.pc = WriterPc::publish;
            return nullptr;
        default:
            mine.is_ready = true;  // W4
            ++my.tail;
            my.pc = WriterPc::idle;
            return over_bound(state);
    }
}

// ---- A subscriber -------------------------------------------------------------------------------

const char* LogModel::step_reader(State& state, int who) const {
    LogReaderState& my = state.readers[at(who)];
    LogCursorState& cursor = state.cursors[at(who)];
    if (my.pc < ReaderPc::look) {
        step_join(state, who);
        return nullptr;
    }
    if (my.pc < ReaderPc::take) return step_look(state, who);
    if (my.pc < ReaderPc::end_state) return step_take(state, who);
    my.is_joined = false;
    if (step_leave(cursor, my.pc, my.tenant, my.generation)) {
        my = {.life = LogLife::left, .tenant = my.tenant};
    }
    return nullptr;
}

// It ends what it made, and frees what it holds: a newcomer may have dropped it meanwhile. True: it
// is gone.
bool LogModel::step_leave(LogCursorState& cursor, ReaderPc& pc, int tenant, int generation) const {
    if (pc == ReaderPc::end_state) {
        const bool is_mine = cursor.generation == generation;
        if (is_mine || broken(LogMutant::leave_ends_another)) cursor.is_active = false;
        pc = ReaderPc::free_seat;
        return false;
    }
    if (cursor.seat == tenant || broken(LogMutant::leave_frees_another)) cursor.seat = 0;
    return true;
}

// Of a newcomer: whoever has a cursor at its seat went, or is leaving.
void LogModel::step_drop(State& state, int who) const {
    LogReaderState& my = state.readers[at(who)];
    LogCursorState& cursor = state.cursors[at(who)];
    switch (my.pc) {
        case ReaderPc::drop_look:  // D1
            my.generation = cursor.generation;
            my.was_active = cursor.is_active;
            my.pc = ReaderPc::drop_check;
            return;
        case ReaderPc::drop_check:  // D2
            my.pc = cursor.seat == my.dropped ? ReaderPc::drop_end : ReaderPc::claim_seat;
            break;
        case ReaderPc::drop_end:  // D3
            if (cursor.generation == my.generation && cursor.is_active == my.was_active) {
                cursor.is_active = false;
            }
            my.pc = ReaderPc::drop_free;
            return;
        default:  // D4
            if (cursor.seat == my.dropped) cursor.seat = 0;
            my.pc = ReaderPc::claim_seat;
            break;
    }
    if (my.pc != ReaderPc::claim_seat) return;
    my.dropped = my.generation = 0;
    my.was_active = false;
}

void LogModel::step_join(State& state, int who) const {
    LogReaderState& my = state.readers[at(who)];
    LogCursorState& cursor = state.cursors[at(who)];
    const bool is_safe = my.head >= state.floor;
    switch (my.pc) {
        case ReaderPc::claim_seat:
            my.dropped = cursor.seat;
            my.pc = cursor.seat == 0 ? ReaderPc::read_floor : ReaderPc::drop_look;
            if (cursor.seat == 0) cursor.seat = my.tenant;
            return;
        case ReaderPc::drop_look:
        case ReaderPc::drop_check:
        case ReaderPc::drop_end:
        case ReaderPc::drop_free: step_drop(state, who); return;
        case ReaderPc::read_floor:
            my.head = my.due = state.floor;
            my.pc = ReaderPc::store_hold;
            return;
        case ReaderPc::store_hold:
            cursor.hold = my.head;
            my.pc = ReaderPc::store_taken;
            return;
        case ReaderPc::store_taken:
            cursor.taken = my.due;
            my.pc = ReaderPc::store_state;
            if (broken(LogMutant::join_check_first) && !is_safe) my.pc = ReaderPc::read_floor;
            return;
        case ReaderPc::store_state:  // J1; a turn that is tried again keeps its generation
            cursor.is_active = true;
            if (!my.is_ready) ++cursor.generation;
            my.is_ready = true;
            my.pc = ReaderPc::check_floor;
            if (broken(LogMutant::join_check_first) || broken(LogMutant::no_join_check)) {
                my.is_joined = true;
                my.pc = ReaderPc::look;
            }
            return;
        case ReaderPc::check_floor:  // J2
            my.is_joined = is_safe;
            my.pc = is_safe ? ReaderPc::look : ReaderPc::undo;
            return;
        default:
            cursor.is_active = false;
            my.pc = ReaderPc::read_floor;
            return;
    }
}

const char* LogModel::step_look(State& state, int who) const {
    LogReaderState& my = state.readers[at(who)];
    const LogPlaceState& mine = place(state, my.head);
    switch (my.pc) {
        case ReaderPc::look:  // R1
            my.is_ready = mine.is_ready;
            if (!is_reliable(who)) {
                const bool trusts = broken(LogMutant::latest_trusts_not_ready) && !my.is_ready;
                my.pc = trusts ? ReaderPc::look : ReaderPc::kept_before;
            } else {
                my.pc = my.is_ready ? ReaderPc::read : ReaderPc::look;
            }
            return nullptr;
        case ReaderPc::kept_before:
        case ReaderPc::kept_after: {  // R4
            const bool is_after = my.pc == ReaderPc::kept_after;
            const bool is_unchecked = is_after && broken(LogMutant::copy_not_validated);
            if (state.floor > my.head && !is_unchecked) {
                my.head = state.floor;
                my.seen = 0;
                my.pc = ReaderPc::look;
                return nullptr;
            }
            if (!is_after) {
                my.pc = my.is_ready ? ReaderPc::read : ReaderPc::look;
                return nullptr;
            }
            if (my.seen != my.head) return "a copy that passed as sound is torn";
            my.seen = 0;
            my.pc = ReaderPc::take;
            return nullptr;
        }
        default:  // read
            my.seen = mine.payload;
            if (!is_reliable(who)) {
                my.pc = ReaderPc::kept_after;
                return nullptr;
            }
            if (my.seen != my.head) return "a reliable subscriber reads something torn";
            if (my.head != my.due) return "a reliable subscriber missed one";
            my.seen = 0;
            my.pc = ReaderPc::take;
            return nullptr;
    }
}

const char* LogModel::step_take(State& state, int who) const {
    LogReaderState& my = state.readers[at(who)];
    LogCursorState& cursor = state.cursors[at(who)];
    switch (my.pc) {
        case ReaderPc::take:  // R2
            if (my.head < my.due) return "a message came twice";
            my.due = small(my.head + 1);
            cursor.taken = my.due;
            my.is_ready = false;
            my.pc = is_reliable(who) ? ReaderPc::lent : ReaderPc::look;
            if (!is_reliable(who)) my.head = my.due;
            return nullptr;
        case ReaderPc::lent:
            if (place(state, my.head).payload != my.head) return "a loan is overwritten";
            my.pc = ReaderPc::release;
            return nullptr;
        default:  // R3
            my.head = my.due;
            cursor.hold = my.head;
            my.pc = ReaderPc::look;
            return nullptr;
    }
}

// ---- A sweeper, and the end ---------------------------------------------------------------------

void LogModel::step_sweeper(State& state, int who) const {
    LogSweeperState& my = state.sweepers[at(who)];
    LogCursorState& cursor = state.cursors[at(my.index)];
    switch (my.pc) {
        case SweeperPc::idle:  // D1; whom it sweeps was known before
            my.tenant = cursor.seat;
            my.generation = cursor.generation;
            my.was_active = cursor.is_active;
            my.pc = SweeperPc::check_seat;
            return;
        case SweeperPc::check_seat:  // D2
            my.pc = cursor.seat == my.tenant ? SweeperPc::end_state : SweeperPc::idle;
            return;
        case SweeperPc::end_state: {  // D3
            const bool is_same =
                cursor.generation == my.generation && cursor.is_active == my.was_active;
            if (broken(LogMutant::drop_by_store) ||
                (is_same && !broken(LogMutant::drop_leaves_state))) {
                cursor.is_active = false;
            }
            my.pc = SweeperPc::free_seat;
            return;
        }
        case SweeperPc::free_seat:  // D4
            if (cursor.seat == my.tenant) cursor.seat = 0;
            my = {};
            return;
    }
}

Ending LogModel::ending(const State& state) const {
    bool is_clean = state.writer.life == LogLife::running && state.writer.pc == WriterPc::idle &&
                    state.writer.tail == config_.messages;
    for (int who = 0; who < count(); ++who) {
        const LogReaderState& my = state.readers[at(who)];
        if (my.life == LogLife::running) {
            is_clean = is_clean && my.pc == ReaderPc::look && my.is_joined &&
                       my.due == config_.messages && state.cursors[at(who)].seat == my.tenant;
        } else {
            is_clean =
                is_clean && state.cursors[at(who)].seat == 0 && !state.cursors[at(who)].is_active;
        }
    }
    for (int who = 0; who < config_.sweepers; ++who) {
        is_clean = is_clean && state.sweepers[at(who)].pc == SweeperPc::idle;
    }
    return {is_clean, nullptr};
}

std::string LogModel::text(const State& state) const {
    const auto number = [](int value) { return std::to_string(value); };
    std::string text = "floor " + number(state.floor) + " tail " + number(state.writer.tail) +
                       " room " + number(state.writer.room_end) + " granted " +
                       number(state.writer.granted) + " |";
    for (int i = 0; i < config_.places; ++i) {
        const LogPlaceState& one = state.places[at(i)];
        text += " " + (one.payload == kTorn ? "torn" : number(one.payload)) +
                (one.is_ready ? "!" : ".");
    }
    for (int i = 0; i < count(); ++i) {
        const LogCursorState& cursor = state.cursors[at(i)];
        const LogReaderState& my = state.readers[at(i)];
        text += " | seat " + number(cursor.seat) + (cursor.is_active ? " on" : " off") + " hold " +
                number(cursor.hold) + " taken " + number(cursor.taken) + " head " +
                number(my.head) + " due " + number(my.due);
    }
    return text;
}

}  // namespace stoa::model
