// Names: create, open, open_or_create, destroy and the collection of garbage, in a folder.
//
// Whatever happens to the victim, a name is absent or leads to a complete mailbox, survivors get a
// mailbox under it without cleaning up by hand, the folder holds nothing else, and a live mailbox
// never loses its name, whoever resumes a removal that it began long ago. Only while one who is
// stopped holds the lock of a condemned file that name alone is busy (`exists`, see
// region_image_test).
#include <csignal>
#include <functional>
#include <optional>

#include "stoa/base/check.hpp"
#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "stoa/sys/file.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/crash/scenarios/name_folder.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"

namespace stoa::crash {
namespace {

constexpr const char* kName = "box";
constexpr const char* kCondemned = "condemned";
constexpr const char* kLeases = "leases";
constexpr const char* kInUse = "in_use";
constexpr std::uint64_t kVictimsNumber = 77;
constexpr std::uint64_t kPreparedNumber = 100;
constexpr std::uint64_t kJudgesNumber = 1000;
constexpr std::size_t kBytes = 40;

// --- what processes do --------------------------------------------------------------------------

MailboxOptions options_in(const std::string& domain, bool acknowledged = false) {
    return {.capacity = bounded(4),
            .acknowledged = acknowledged,
            .max_bytes = 48,
            .reserve_bytes = 1U << 10U,
            .loan_quota = 1,
            .waiting = Waiting::park,
            .domain = domain};
}

Result<RawMailbox> open(const std::string& domain, const char* name) {
    return RawMailbox::open(name, {.waiting = Waiting::park, .domain = domain});
}

bool send(RawMailbox& box, std::uint64_t number) {
    std::array<std::byte, kBytes> bytes{};
    write_payload(bytes, number);
    return box.try_send(bytes).has_value();
}

void prepare_live(const std::string& domain, const char* name, bool acknowledged,
                  std::uint64_t messages) {
    RawMailbox box = RawMailbox::create(name, options_in(domain, acknowledged)).value();
    for (std::uint64_t k = 0; k < messages; ++k) STOA_CHECK(send(box, kPreparedNumber + k));
}

void die_at(const char* point, const std::function<void()>& body) {
    const kit::Ending ending = kit::fork_and_run([&] {
        kit::kill_self_at(point);
        body();
    });
    STOA_CHECK(ending.signal == SIGKILL);
}

// Its destroyer died before it removed the name.
void prepare_condemned(const std::string& domain, const char* name) {
    prepare_live(domain, name, false, 1);
    die_at("region.destroy.condemned", [&] { (void)RawMailbox::destroy(name, domain); });
}

// Two waiting messages; one died with a loan, one with a message.
void prepare_leases(const std::string& domain, const char* name, bool acknowledged) {
    prepare_live(domain, name, acknowledged, 2);
    die_at("pool.claim.loaned", [&] {
        RawMailbox box = open(domain, name).value();
        (void)send(box, 1);
    });
    die_at("pool.take.taken", [&] {
        RawMailbox box = open(domain, name).value();
        const Result<RawMessage> got = box.try_receive();
    });
}

// --- what the scenarios share -------------------------------------------------------------------

// The victim's results: values[1] kOk or kFailed + the error; [2] it sent; [3] its file's inode.
constexpr std::uint64_t kOk = 1;
constexpr std::uint64_t kFailed = 100;

std::uint64_t failed(Errc code) {
    return kFailed + static_cast<std::uint64_t>(code);
}

class NameScenario : public Scenario {
public:
    std::string name() const override { return name_; }
    std::vector<std::span<std::byte>> shared() override { return folder_->shared(); }
    bool external() const override { return true; }
    void reset() override { folder_->reset(); }
    void prepare() override {
        folder_.emplace();
        prepare_folder();
        folder_->keep();
    }
    void victim_begin() override { (void)sys::self(); }
    void recover_begin(const Case& now) override {
        (void)sys::self();
        if (now.me == Role::judge) look_first();
    }
    std::string interfere_recovery(const Case& now) override {
        recover_begin(now);
        return use();
    }
    std::string interfere(const Case&) override {
        look_first();
        return use();
    }

protected:
    explicit NameScenario(std::string name) : name_{std::move(name)} {}

    virtual void prepare_folder() = 0;
    // Before anybody recovers: what is to be seen, what must come.
    virtual void look_first() = 0;
    // What survivors do beside one that is stopped.
    virtual std::string use() = 0;

    [[nodiscard]] const std::string& path() const { return folder_->path(); }
    // A live mailbox that a survivor has open is what its name leads to; a condemned one is not.
    [[nodiscard]] std::string still_named(RawMailbox& box, const std::string& name) const {
        RegionImage& region = box.attachment().region();
        const bool named = folder_->inode_of(name) == inode_of(region);
        if (region.condemned()) return named ? "a removed mailbox kept its name" : "";
        return named ? "" : "a live mailbox has lost its name";
    }
    // Receives everything, and finds nothing lost in the mailbox.
    std::string drain(RawMailbox& box, std::uint32_t handles);
    bool send_mine(RawMailbox& box) {
        if (!send(box, next_)) return false;
        ledger_.must(next_++);
        return true;
    }

    std::string name_;
    std::optional<NameFolder> folder_;
    Ledger ledger_;
    std::string seen_;  // what look_first() found wrong
    std::uint64_t next_ = kJudgesNumber;
};

std::string NameScenario::drain(RawMailbox& box, std::uint32_t handles) {
    Result<RawMessage> got = box.try_receive();
    for (; got; got = box.try_receive()) {
        const std::uint64_t number = read_payload(got->bytes());
        if (number == 0) return "a torn message";
        ledger_.got(number);
        if (!got->ack()) return "a message of ours is not ours";
    }
    if (got.error().code != Errc::empty) return describe(got.error());
    Attachment& at = box.attachment();
    std::uint32_t taken = 0;
    at.region().participants().for_each([&](const Participant&) { ++taken; });
    if (taken != handles) return "a place is lost";
    const PoolRing ring = PoolRing::attach(at.plan().pool_of(at.region().content(), 0)).value();
    const PoolCounts counts = ring.counts();
    if (counts.depth != 0 || !ring.seems_empty()) return "a slot is lost";
    return counts.free_chunks == ring.geometry().chunk_count ? "" : "a chunk is lost";
}

// --- create, open, open_or_create ---------------------------------------------------------------

struct OpeningCase {
    std::string name;
    std::function<void(const std::string& domain)> prepare;
    std::function<Result<RawMailbox>(const std::string& domain)> operation;
    Errc may_fail{};     // also a good result
    bool alive = false;  // what was prepared is to live on
};

class OpeningScenario final : public NameScenario {
public:
    explicit OpeningScenario(OpeningCase details)
        : NameScenario{details.name}, case_{std::move(details)} {}

    void victim() override {
        Outcome& mine = outcome(Role::victim);
        Result<RawMailbox> box = case_.operation(path());
        if (box) {
            mine.values[2] = send(*box, kVictimsNumber) ? 1 : 0;
            mine.values[3] = inode_of(box->attachment().region());
        }
        mine.values[1] = box ? kOk : failed(box.error().code);
        mine.code = 1;
    }
    void recover(const Case& now) override {
        Result<RawMailbox> box = RawMailbox::open_or_create(kName, options_in(path()));
        STOA_CHECK(box || now.me == Role::judge);  // who looks again, and says why
        if (box) boxes_.push_back(std::move(*box));
    }
    std::string verify(const Case& now) override;

protected:
    void prepare_folder() override { case_.prepare(path()); }
    void look_first() override {
        seen_ = folder_->absent_or_complete(kName);
        if (!case_.alive) return;
        for (const std::uint64_t number : folder_->kept(kName)->waiting()) ledger_.must(number);
    }
    std::string use() override {
        if (folder_->busy(kName)) return {};
        recover({.me = Role::judge});
        if (boxes_.empty()) return "a survivor can neither open nor create it";
        return send_mine(boxes_.back()) ? "" : "a survivor cannot send";
    }

private:
    OpeningCase case_;
    std::vector<RawMailbox> boxes_;
};

std::string OpeningScenario::verify(const Case& now) {
    if (!seen_.empty()) return seen_;
    if (case_.alive && now.mode == Mode::none) look_first();
    const Outcome& victim = outcome(Role::victim);
    const std::uint64_t result = victim.values[1];
    if (!now.victim_dead) {
        if (victim.code != 1) return "the victim did not return";
        if (result != kOk && (case_.may_fail == Errc{} || result != failed(case_.may_fail))) {
            return "the victim failed with " + std::to_string(result - kFailed);
        }
        if (result == kOk && folder_->inode_of(kName) != victim.values[3]) {
            return "the victim got another mailbox than the one that has the name";
        }
    }
    for (RawMailbox& box : boxes_) {
        if (std::string text = still_named(box, kName); !text.empty()) return text;
    }
    boxes_.clear();
    Result<RawMailbox> box = RawMailbox::open_or_create(kName, options_in(path()));
    if (!box) return "the next open fails: " + describe(box.error());
    if (case_.alive && inode_of(box->attachment().region()) != folder_->kept(kName)->inode) {
        return "a live mailbox was replaced";
    }
    if (victim.values[2] != 0) {
        ledger_.must(kVictimsNumber);
    } else if (now.victim_dead && !ledger_.expects(kVictimsNumber)) {
        ledger_.may(kVictimsNumber);
    }
    std::string text = drain(*box, 1);
    if (text.empty()) text = ledger_.balance();
    if (text.empty()) text = folder_->holds_only({kName});
    if (text.empty() && !RawMailbox::destroy(kName, path())) text = "it cannot be destroyed";
    return text.empty() ? folder_->holds_only({}) : text;
}

// --- destroy ------------------------------------------------------------------------------------

class DestroyScenario final : public NameScenario {
public:
    DestroyScenario() : NameScenario{"name.destroy"} {}

    void victim() override {
        const Result<void> gone = RawMailbox::destroy(kName, path());
        outcome(Role::victim).values[1] = gone ? kOk : failed(gone.error().code);
        outcome(Role::victim).code = 1;
    }
    // A fresh one under the same name, at once.
    void recover(const Case&) override { create_anew(); }
    std::string verify(const Case& now) override;

protected:
    void prepare_folder() override { prepare_live(path(), kName, false, 1); }
    void look_first() override {
        seen_ = folder_->absent_or_complete(kName);
        const KeptMailbox& old = *folder_->kept(kName);
        if (!seen_.empty() || old.region.condemned()) return;
        if (folder_->inode_of(kName) != old.inode) seen_ = "a live mailbox has lost its name";
        if (old.waiting() != std::set{kPreparedNumber}) seen_ = "a sent message is lost";
    }
    std::string use() override {
        if (folder_->busy(kName)) return {};
        create_anew();
        if (boxes_.empty()) return "a survivor cannot create it anew";
        return send_mine(boxes_.back()) ? "" : "a survivor cannot send";
    }

private:
    // Others may do the same beside a traced one, and win.
    void create_anew() {
        const MailboxOptions options = options_in(path());
        Result<RawMailbox> box = RawMailbox::create(kName, options);
        if (!box && box.error().code == Errc::exists) {
            const Result<void> gone = RawMailbox::destroy(kName, path());
            STOA_CHECK(gone || gone.error().code == Errc::not_found);
            if (gone) ++destroyed_;
            box = RawMailbox::create(kName, options);
        }
        STOA_CHECK(box || box.error().code == Errc::exists);
        if (box) boxes_.push_back(std::move(*box));
    }

    std::vector<RawMailbox> boxes_;
    unsigned destroyed_ = 0;  // by the judge
};

std::string DestroyScenario::verify(const Case& now) {
    if (!seen_.empty()) return seen_;
    const Outcome& victim = outcome(Role::victim);
    const std::uint64_t result = victim.values[1];
    unsigned condemned = folder_->kept(kName)->region.condemned() ? 1 : 0;
    for (RawMailbox& box : boxes_) {
        if (std::string text = still_named(box, kName); !text.empty()) return text;
        if (box.attachment().region().condemned()) ++condemned;
    }
    if (!now.victim_dead) {
        if (victim.code != 1) return "the victim did not return";
        if (result != kOk && result != failed(Errc::not_found)) {
            return "the victim failed with " + std::to_string(result - kFailed);
        }
        if (condemned != destroyed_ + (result == kOk ? 1 : 0)) {
            return "who destroyed which is not told right";
        }
    } else if (result == kOk && !folder_->kept(kName)->region.condemned()) {
        return "a destroyed mailbox lives";
    }
    if (boxes_.empty() || boxes_.back().attachment().region().condemned()) {
        boxes_.clear();
        ledger_ = {};  // what was in a fresh one went with it
        create_anew();
        if (boxes_.empty()) return "the name cannot be used again";
    }
    std::string text = still_named(boxes_.back(), kName);
    if (text.empty()) text = drain(boxes_.back(), 1);
    if (text.empty()) text = ledger_.balance();
    if (text.empty()) text = folder_->holds_only({kName});
    if (text.empty() && !RawMailbox::destroy(kName, path())) text = "it cannot be destroyed";
    return text.empty() ? folder_->holds_only({}) : text;
}

// --- gc -----------------------------------------------------------------------------------------

class GcScenario final : public NameScenario {
public:
    GcScenario() : NameScenario{"name.gc"} {}

    void victim() override {
        const bool done = collect_garbage(false, path()).has_value();
        outcome(Role::victim).values[1] = done ? kOk : 0;
        outcome(Role::victim).code = 1;
    }
    void recover(const Case&) override { STOA_CHECK(collect_garbage(false, path()).has_value()); }
    std::string verify(const Case& now) override;

protected:
    void prepare_folder() override {
        prepare_condemned(path(), kCondemned);
        prepare_leases(path(), kLeases, true);
        keeper_.emplace(RawMailbox::create(kInUse, options_in(path())).value());
        STOA_CHECK(send(*keeper_, kPreparedNumber));
    }
    void look_first() override {
        for (const char* name : {kCondemned, kLeases, kInUse}) {
            if (seen_.empty()) seen_ = folder_->absent_or_complete(name);
        }
    }
    std::string use() override;

private:
    std::optional<RawMailbox> keeper_;  // the engine's, which is alive
    std::optional<RawMailbox> fresh_;
    std::optional<RawMailbox> leases_;
};

// A successor for the condemned one, and the messages of the dead.
std::string GcScenario::use() {
    if (!folder_->busy(kCondemned)) {
        fresh_.emplace(RawMailbox::open_or_create(kCondemned, options_in(path())).value());
        if (!send_mine(*fresh_)) return "a survivor cannot send";
    }
    leases_.emplace(open(path(), kLeases).value());
    return send_mine(*leases_) ? "" : "a survivor cannot send";
}

std::string GcScenario::verify(const Case& now) {
    if (!seen_.empty()) return seen_;
    if (!now.victim_dead && outcome(Role::victim).values[1] != kOk) return "gc failed";
    std::set<std::string> names{kLeases, kInUse};
    if (fresh_) names.insert(kCondemned);
    std::string text = folder_->holds_only(names);
    if (text.empty() && !folder_->kept(kInUse)->untouched()) text = "what is in use was touched";
    if (text.empty() && fresh_) text = still_named(*fresh_, kCondemned);
    if (text.empty() && fresh_) text = drain(*fresh_, 1);
    if (!text.empty()) return text;
    const Result<MailboxFacts> facts = look_at_mailbox(kLeases, path());
    if (!facts) return describe(facts.error());
    if (facts->count(sys::Life::dead) != 0) return "a dead participant was left";
    if (facts->leased != 0 || facts->loaned != 0) return "a lease of the dead was left";
    for (std::uint64_t k = 0; k < 2; ++k) ledger_.must(kPreparedNumber + k);
    if (!leases_) leases_.emplace(open(path(), kLeases).value());
    text = drain(*leases_, 1);
    return text.empty() ? ledger_.balance() : text;
}

}  // namespace

void add_name_scenarios(Scenarios& list) {
    const auto create = [](const std::string& domain) {
        return RawMailbox::create(kName, options_in(domain));
    };
    const auto open_or_create = [](const std::string& domain) {
        return RawMailbox::open_or_create(kName, options_in(domain));
    };
    const auto add = [&](OpeningCase details) {
        list.push_back(std::make_unique<OpeningScenario>(std::move(details)));
    };
    add({.name = "name.create",
         .prepare = [](const std::string&) {},
         .operation = create,
         .may_fail = Errc::exists});
    add({.name = "name.create_over_condemned",
         .prepare = [](const std::string& domain) { prepare_condemned(domain, kName); },
         .operation = create,
         .may_fail = Errc::exists});
    add({.name = "name.open_or_create",
         .prepare = [](const std::string& domain) { prepare_condemned(domain, kName); },
         .operation = open_or_create});
    add({.name = "name.open",
         .prepare = [](const std::string& domain) { prepare_leases(domain, kName, false); },
         .operation = [](const std::string& domain) { return open(domain, kName); },
         .alive = true});
    list.push_back(std::make_unique<DestroyScenario>());
    list.push_back(std::make_unique<GcScenario>());
}

}  // namespace stoa::crash
