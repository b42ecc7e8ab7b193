#include "tests/model/latest_model.hpp"

#include <algorithm>

namespace stoa::model {
namespace {

constexpr std::size_t at(int index) {
    return static_cast<std::size_t>(index);
}

constexpr std::uint8_t kNewest = 1;    // what a Store changes; else the number of a word + kWords
constexpr std::uint8_t kWords = 2;     //
constexpr std::uint8_t kGuessed = 14;  // R1 comes after the copy
constexpr const char* kWriterPcs[] = {"looks who writes", "claims",    "loads the last number",
                                      "stores a word",    "publishes", "looks at the bell",
                                      "gives it back",    "done"};
constexpr const char* kReaderPcs[] = {
    "loads newest",       "copies",       "checks",      "done",
    "sets the sleep bit", "is a barrier", "looks again", "asleep"};

const char* name_of(WriterPc pc) {
    return kWriterPcs[static_cast<std::size_t>(pc)];
}

}  // namespace

LatestState LatestModel::initial() const {
    LatestState state{};
    for (int i = 0; i < config_.readers; ++i)
        state.readers[at(i)].reads = static_cast<std::uint8_t>(config_.reads);
    return state;
}

std::uint8_t LatestModel::word_at(std::uint8_t number, int word) const noexcept {
    const int slots = broken(LatestMutant::three_slots) ? kLatestModelSlots - 1 : kLatestModelSlots;
    return static_cast<std::uint8_t>(number % slots * kLatestModelWords + word);
}

// --- the stores of a writer ---------------------------------------------------------------------

void LatestModel::issue(LatestWriter& my, Store store) {
    *std::ranges::find(my.pending, 0, &Store::what) = store;
}

// Whether it may be seen before those that wait before it.
bool LatestModel::may_be_seen(const LatestWriter& my, std::size_t which) const noexcept {
    const Store& store = my.pending[which];
    const bool is_publish = store.what == kNewest;
    const bool is_release =
        !broken(is_publish ? LatestMutant::publishes_early : LatestMutant::words_overtake);
    for (std::size_t i = 0; i < which; ++i) {
        if (is_release || my.pending[i].what == store.what) return false;
    }
    return store.what != 0;
}

void LatestModel::see(LatestState& state, LatestWriter& my, std::size_t which) {
    const Store store = my.pending[which];
    if (store.what == kNewest) {
        state.newest = store.number;
    } else {
        state.words[at(store.what - kWords)] = store.number;
    }
    std::shift_left(my.pending.begin() + static_cast<std::ptrdiff_t>(which), my.pending.end(), 1);
    my.pending.back() = {};
}

void LatestModel::drain(LatestState& state, LatestWriter& my) {
    while (my.pending[0].what != 0) see(state, my, 0);
}

// --- writers ------------------------------------------------------------------------------------

void LatestModel::moves(const LatestState& state, Moves<LatestState>& out) const {
    for (int who = 0; who < config_.writers; ++who) {
        writer_moves(state, who, out);
        environment_moves(state, who, out);
    }
    for (int who = 0; who < config_.readers; ++who) reader_moves(state, who, out);
}

void LatestModel::writer_moves(const LatestState& state, int who, Moves<LatestState>& out) const {
    const LatestWriter& my = state.writers[at(who)];
    for (std::size_t i = 0; i < my.pending.size(); ++i) {  // of one that stands still too
        if (!may_be_seen(my, i)) continue;
        LatestState& next = out.draft(state);
        see(next, next.writers[at(who)], i);
        out.take_progress(who, "its store is seen");
    }
    if (my.life != LatestLife::running || my.pc == WriterPc::done) return;
    const bool stores = my.pc == WriterPc::write || my.pc == WriterPc::publish;
    if (stores && my.pending.back().what != 0) return;
    if (my.pc == WriterPc::leave && my.pending[0].what != 0) return;  // by a release
    if (my.pc == WriterPc::look && state.writer != 0) {
        const LatestWriter& other = state.writers[at(state.writer - 1)];
        const bool gone =
            other.life == LatestLife::dead ||
            (other.life == LatestLife::stopped && broken(LatestMutant::claims_from_stopped));
        if (!gone) return;  // in_use: it looks again later
    }
    LatestState& next = out.draft(state);
    const char* fault = nullptr;
    writer_step(next, who, fault);
    out.take_progress(who, name_of(my.pc), fault);
    if (my.pc == WriterPc::write && my.word == 0) {  // or it has enough
        LatestState& left = out.draft(state);
        left.writers[at(who)].pc = WriterPc::leave;
        out.take_progress(who, "writes no more");
    }
}

void LatestModel::writer_step(LatestState& state, int who, const char*& fault) const {
    LatestWriter& my = state.writers[at(who)];
    switch (my.pc) {
        case WriterPc::look:
            my.seen = state.writer;
            my.pc = WriterPc::claim;
            break;
        case WriterPc::claim:
            my.pc = WriterPc::look;
            if (state.writer != my.seen && !broken(LatestMutant::claims_by_store)) break;
            for (const LatestWriter& other : state.writers) {
                const bool writes = other.pc > WriterPc::claim && other.pc < WriterPc::done;
                if (&other != &my && writes && other.life != LatestLife::dead)
                    fault = "two write at once";
            }
            state.writer = static_cast<std::uint8_t>(who + 1);
            my.pc = WriterPc::load;
            break;
        case WriterPc::load: {
            const bool heir = my.seen != 0;
            my.number = static_cast<std::uint8_t>(state.newest + 1);
            if (heir && broken(LatestMutant::heir_starts_over)) my.number = 1;
            if (heir && broken(LatestMutant::heir_skips)) ++my.number;
            my.seen = 0;
            my.pc = my.number > config_.values ? WriterPc::leave : WriterPc::write;
            break;
        }
        case WriterPc::write:
            issue(my, {static_cast<std::uint8_t>(word_at(my.number, my.word) + kWords), my.number});
            if (++my.word == kLatestModelWords) my.pc = WriterPc::publish;
            break;
        case WriterPc::publish:
            issue(my, {kNewest, my.number});
            state.returned = my.number++;
            my.word = 0;
            my.pc = WriterPc::ring;
            break;
        case WriterPc::ring:  // its stores may still wait
            if (state.bell % 2 != 0 && !broken(LatestMutant::no_wake)) {
                ++state.bell;  // clears the bit and counts up
                for (LatestReader& reader : state.readers) {
                    if (reader.pc != ReaderPc::asleep) continue;
                    reader.pc = ReaderPc::idle;
                    reader.number = 0;
                }
            }
            my.pc = my.number > config_.values ? WriterPc::leave : WriterPc::write;
            break;
        case WriterPc::leave:
            if (state.writer == who + 1) state.writer = 0;
            my = {.pc = WriterPc::done};
            break;
        case WriterPc::done: break;
    }
}

void LatestModel::environment_moves(const LatestState& state, int who,
                                    Moves<LatestState>& out) const {
    const LatestWriter& my = state.writers[at(who)];
    if (my.life == LatestLife::running && my.pc != WriterPc::look && my.pc != WriterPc::done) {
        if (state.crashes < config_.crashes) {
            LatestState& next = out.draft(state);
            drain(next, next.writers[at(who)]);
            next.writers[at(who)] = {.life = LatestLife::dead};
            ++next.crashes;
            out.take_environment(who, "DIES");
        }
        if (state.freezes < config_.freezes) {
            LatestState& next = out.draft(state);
            next.writers[at(who)].life = LatestLife::stopped;
            ++next.freezes;
            out.take_environment(who, "STOPS");
        }
    }
    if (my.life == LatestLife::stopped) {
        LatestState& next = out.draft(state);
        next.writers[at(who)].life = LatestLife::running;
        out.take_progress(who, "goes on");
    }
}

// --- readers ------------------------------------------------------------------------------------

void LatestModel::reader_moves(const LatestState& state, int who, Moves<LatestState>& out) const {
    const LatestReader& my = state.readers[at(who)];
    const int name = config_.writers + who;
    if (my.pc == ReaderPc::done) return;
    const bool waits = my.pc == ReaderPc::idle && my.reads != 0 && state.newest <= my.last;
    if (config_.sleeps && (my.pc > ReaderPc::done || waits)) return sleeper_moves(state, who, out);
    const auto begin = [&](std::uint8_t number, std::uint8_t checked, const char* what) {
        LatestState& next = out.draft(state);
        LatestReader& reader = next.readers[at(who)];
        reader.number = number;
        reader.checked = checked;
        reader.got.fill(kNotYet);
        reader.pc = ReaderPc::copy;
        out.take_progress(name, what);
    };
    if (my.pc == ReaderPc::idle) {
        if (state.newest != 0 && my.reads != 0) {
            begin(state.newest, 0, "loads newest");
            if (broken(LatestMutant::reads_late) && state.newest < config_.values)
                begin(static_cast<std::uint8_t>(state.newest + 1), kGuessed, "reads ahead");
        } else {
            LatestState& next = out.draft(state);
            LatestReader& reader = next.readers[at(who)];
            reader.reads = my.reads == 0 ? my.reads : static_cast<std::uint8_t>(my.reads - 1);
            if (my.reads == 0) reader = {.pc = ReaderPc::done};
            out.take_progress(name, "finds nothing, or has enough");
        }
        return;
    }
    if (my.pc == ReaderPc::copy) {
        for (int word = 0; word < kLatestModelWords; ++word) {
            if (my.got[at(word)] != kNotYet) continue;
            LatestState& next = out.draft(state);
            LatestReader& reader = next.readers[at(who)];
            reader.got[at(word)] = state.words[word_at(my.number, word)];
            if (std::ranges::find(reader.got, kNotYet) == reader.got.end())
                reader.pc = ReaderPc::check;
            out.take_progress(name, "copies a word");
        }
        if (broken(LatestMutant::checks_early) && my.checked == 0) {
            LatestState& next = out.draft(state);
            next.readers[at(who)].checked = state.newest;
            out.take_progress(name, "checks early");
        }
        return;
    }
    LatestState& next = out.draft(state);
    const char* fault = nullptr;
    judge(next.readers[at(who)], state.newest, fault);
    out.take_progress(name, kReaderPcs[static_cast<std::size_t>(my.pc)], fault);
}

void LatestModel::sleeper_moves(const LatestState& state, int who, Moves<LatestState>& out) const {
    const LatestReader& my = state.readers[at(who)];
    const int name = config_.writers + who;
    const auto go = [&](ReaderPc pc, const char* what) {
        LatestState& next = out.draft(state);
        next.readers[at(who)].pc = pc;
        if (pc == ReaderPc::idle) next.readers[at(who)].number = 0;
        out.take_progress(name, what);
    };
    const bool is_newer = state.newest > my.last;
    // The end of its time ends no sleep that a newer value should have ended.
    if ((my.pc == ReaderPc::idle || my.pc == ReaderPc::asleep) && !is_newer) {
        LatestState& next = out.draft(state);
        next.readers[at(who)] = {.pc = ReaderPc::done};
        out.take_progress(name, "has no time left");
    }
    switch (my.pc) {
        case ReaderPc::idle: go(ReaderPc::mark, "waits"); break;
        case ReaderPc::mark: {
            LatestState& next = out.draft(state);
            next.bell |= 1U;
            next.readers[at(who)].number = next.bell;
            next.readers[at(who)].pc = ReaderPc::barrier;
            out.take_progress(name, "sets the sleep bit");
            break;
        }
        case ReaderPc::barrier: {
            LatestState& next = out.draft(state);
            for (LatestWriter& writer : next.writers) {
                if (!broken(LatestMutant::no_barrier)) drain(next, writer);
            }
            next.readers[at(who)].pc = ReaderPc::look;
            out.take_progress(name, "has a barrier made");
            break;
        }
        case ReaderPc::look:
            // The kernel compares the bell.
            if (is_newer && !broken(LatestMutant::no_look)) {
                go(ReaderPc::idle, "finds a newer one");
            } else {
                go(state.bell == my.number ? ReaderPc::asleep : ReaderPc::idle, "falls asleep");
            }
            break;
        case ReaderPc::asleep:
            if (state.crashes > 0 || state.freezes > 0) go(ReaderPc::idle, "its slice is over");
            break;
        case ReaderPc::copy:
        case ReaderPc::check:
        case ReaderPc::done: break;
    }
}

void LatestModel::judge(LatestReader& my, std::uint8_t newest, const char*& fault) const {
    const bool early = my.checked != 0 && my.checked != kGuessed;
    const int now = early ? my.checked : newest;
    const int most = kLatestModelSlots - 2 + (broken(LatestMutant::checks_one_more) ? 1 : 0);
    const bool differs = my.checked == kGuessed && newest != my.number;
    // As the unsigned difference that the code compares.
    const bool overtaken = now < my.number || now - my.number > most;
    const bool accepts = !differs && (!overtaken || broken(LatestMutant::no_check));
    if (accepts) {
        for (const std::uint8_t word : my.got) {
            if (word != my.number) fault = "a value is torn, or not the one of its number";
        }
        if (my.number < my.last) fault = "it is older than what was read before";
    }
    my = {.reads = static_cast<std::uint8_t>(my.reads - (accepts ? 1 : 0)),
          .last = accepts ? my.number : my.last};
}

Ending LatestModel::ending(const LatestState& state) const {
    bool rests = true;
    for (int i = 0; i < config_.writers; ++i) {
        const LatestWriter& my = state.writers[at(i)];
        if (my.life == LatestLife::dead) continue;
        const bool out = my.pc == WriterPc::look || my.pc == WriterPc::done;
        rests = rests && my.life == LatestLife::running && out && my.pending[0].what == 0;
    }
    if (rests) {
        if (state.newest < state.returned) return {.fault = "a value that was written is lost"};
        for (int word = 0; state.newest != 0 && word < kLatestModelWords; ++word) {
            if (state.words[word_at(state.newest, word)] != state.newest)
                return {.fault = "the newest value is not whole"};
        }
    }
    for (int i = 0; i < config_.readers; ++i)
        rests = rests && state.readers[at(i)].pc == ReaderPc::done;
    return {.is_clean = rests};
}

std::string LatestModel::text(const LatestState& state) const {
    std::string out = "newest " + std::to_string(state.newest) + ", written by " +
                      std::to_string(state.writer) + ", words";
    for (const std::uint8_t word : state.words) out += " " + std::to_string(word);
    static constexpr const char* kLives[] = {"", "stopped: ", "dead: "};
    for (int i = 0; i < config_.writers; ++i) {
        const LatestWriter& my = state.writers[at(i)];
        out += " | " + std::to_string(i + 1) + ": " + kLives[static_cast<std::size_t>(my.life)] +
               name_of(my.pc) + " " + std::to_string(my.number);
        for (const Store& store : my.pending) {
            if (store.what == 0) break;
            out +=
                store.what == kNewest ? " newest" : " word " + std::to_string(store.what - kWords);
            out += "=" + std::to_string(store.number);
        }
    }
    for (int i = 0; i < config_.readers; ++i) {
        const LatestReader& my = state.readers[at(i)];
        out += " | reader: " + std::string{kReaderPcs[static_cast<std::size_t>(my.pc)]} + " " +
               std::to_string(my.number) + ":";
        for (const std::uint8_t word : my.got) out += " " + std::to_string(word);
    }
    return out;
}

}  // namespace stoa::model
