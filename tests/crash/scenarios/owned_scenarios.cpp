// Names that processes own: create, open, close and destroy, and both kinds of owner at once.
//
// Whatever happens to the victim: a name leads to nothing or to a complete mailbox, one that was
// refused the name can open what has it, nobody has it twice, that of a dead process is free at
// once without cleaning up, and the folder never holds anything of a process's mailbox.
#include <sys/mman.h>

#include <csignal>
#include <functional>
#include <optional>

#include "stoa/base/check.hpp"
#include "stoa/mailbox/admin.hpp"
#include "stoa/mailbox/raw_mailbox.hpp"
#include "tests/crash/scenarios/ledger.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {
namespace {

constexpr const char* kName = "box";
constexpr std::size_t kBytes = 40;
constexpr std::uint64_t kVictimsNumber = 77;
constexpr std::uint64_t kPreparedNumber = 100;
constexpr std::uint64_t kJudgesNumber = 1000;
constexpr std::uint32_t kPlaces = 32;  // of the table, those that are used here

// The victim's results: values[1] kOk or kFailed + the error; [2] it sent.
constexpr std::uint64_t kOk = 1;
constexpr std::uint64_t kFailed = 100;

std::uint64_t result_of(const auto& done) {
    return done ? kOk : kFailed + static_cast<std::uint64_t>(done.error().code);
}

std::uint64_t failed(Errc code) {
    return kFailed + static_cast<std::uint64_t>(code);
}

MailboxOptions options_in(const std::string& domain, Owner owner, stoa::Role role) {
    return {.capacity = bounded(4),
            .max_bytes = 48,
            .reserve_bytes = 1U << 10U,
            .loan_quota = 1,
            .owner = owner,
            .role = role,
            .waiting = Waiting::park,
            .domain = domain};
}

bool send(RawMailbox& box, std::uint64_t number) {
    std::array<std::byte, kBytes> bytes{};
    write_payload(bytes, number);
    return box.try_send(bytes).has_value();
}

class OwnedScenario : public Scenario {
public:
    std::string name() const override { return name_; }
    bool external() const override { return true; }
    void reset() override { folder_->clear(); }
    void prepare() override { folder_.emplace(); }
    void victim_begin() override { (void)sys::self(); }
    void recover_begin(const Case& /*now*/) override { (void)sys::self(); }
    std::string interfere(const Case& /*now*/) override {
        (void)sys::self();
        return use();
    }
    std::string interfere_recovery(const Case& /*now*/) override {
        (void)sys::self();
        return use();
    }

protected:
    explicit OwnedScenario(std::string name) : name_{std::move(name)} {}
    // What a survivor does beside one that is stopped.
    virtual std::string use() = 0;

    [[nodiscard]] const std::string& path() const { return folder_->path(); }
    [[nodiscard]] Result<RawMailbox> create(Owner owner, stoa::Role role = stoa::Role::both) const {
        return RawMailbox::create(kName, options_in(path(), owner, role));
    }
    [[nodiscard]] Result<RawMailbox> open() const {
        return RawMailbox::open(kName, {.waiting = Waiting::park, .domain = path()});
    }
    // Empty: a message goes through, and the folder holds what it must.
    [[nodiscard]] std::string works(RawMailbox& box) {
        if (!send(box, next_)) return "a survivor cannot send";
        const Result<RawMessage> got = box.try_receive();
        if (!got || read_payload(got->bytes()) != next_++) return "a survivor cannot receive";
        return folder_holds(box.attachment().region().owner() == Owner::system ? 1 : 0);
    }
    [[nodiscard]] std::string folder_holds(std::size_t files) const {
        return folder_->entries().size() == files ? "" : "the folder does not hold what it must";
    }
    // Empty: the name is free for both kinds, and nothing lies about.
    [[nodiscard]] std::string is_free() const {
        for (const Owner owner : {Owner::process, Owner::system}) {
            const Result<RawMailbox> box = create(owner);
            if (!box) return "the name is not free: " + describe(box.error());
            if (owner == Owner::system && !RawMailbox::destroy(kName, path())) {
                return "it cannot be destroyed";
            }
        }
        return folder_holds(0);
    }

    std::string name_;
    std::optional<kit::TempDomain> folder_;
    std::uint64_t next_ = kJudgesNumber;
};

// --- create, beside another one that creates -----------------------------------------------------

class CreateScenario final : public OwnedScenario {
public:
    CreateScenario(std::string name, Owner victims, Owner rivals)
        : OwnedScenario{std::move(name)}, victims_{victims}, rivals_{rivals} {}

    void victim() override {
        Outcome& mine = outcome(Role::victim);
        Result<RawMailbox> box = create(victims_);
        if (box) victims_box_.emplace(std::move(*box));  // until the process ends
        mine.values[1] = result_of(box);
        mine.code = 1;
    }
    void recover(const Case& now) override { seen_ = use_if(now.me == Role::judge); }
    std::string verify(const Case& now) override;

protected:
    std::string use() override { return use_if(true); }

private:
    std::string use_if(bool judges);

    Owner victims_;
    Owner rivals_;
    std::optional<RawMailbox> victims_box_;
    std::vector<RawMailbox> created_;
    std::vector<RawMailbox> opened_;
    std::string seen_;
};

std::string CreateScenario::use_if(bool judges) {
    Result<RawMailbox> box = create(rivals_);
    if (box) {
        created_.push_back(std::move(*box));
        return judges ? works(created_.back()) : "";
    }
    if (box.error().code != Errc::exists) return "create fails: " + describe(box.error());
    box = open();
    if (!box) return "refused, and nothing is there to open: " + describe(box.error());
    opened_.push_back(std::move(*box));
    return judges ? works(opened_.back()) : "";
}

std::string CreateScenario::verify(const Case& now) {
    if (!seen_.empty()) return seen_;
    const std::uint64_t result = outcome(Role::victim).values[1];
    if (!now.victim_dead) {
        if (outcome(Role::victim).code != 1) return "the victim did not return";
        if (result != kOk && result != failed(Errc::exists)) {
            return "the victim failed with " + std::to_string(result - kFailed);
        }
        if (result == kOk && !created_.empty()) return "two have created it";
        if (result != kOk && created_.empty()) return "nobody has created it";
    }
    // By now the victim has ended, and what it owned with it. (A recoverer has ended as well.)
    for (RawMailbox& box : created_) {
        if (std::string text = works(box); !text.empty()) return text;
    }
    for (RawMailbox& box : opened_) {
        if (box.attachment().region().owner() == Owner::process) {
            const Result<RawMessage> got = box.try_receive();
            if (got || got.error().code != Errc::owner_gone) return "it outlives its owner";
        } else if (std::string text = works(box); !text.empty()) {
            return text;
        }
    }
    created_.clear();
    opened_.clear();
    const Result<void> gone = RawMailbox::destroy(kName, path());
    if (!gone && gone.error().code != Errc::not_found) return describe(gone.error());
    return is_free();
}

// --- close by the owner --------------------------------------------------------------------------

class CloseScenario final : public OwnedScenario {
public:
    CloseScenario() : OwnedScenario{"name.owned_close"} {}

    void victim_begin() override {
        box_.emplace(create(Owner::process).value());
        STOA_CHECK(send(*box_, kVictimsNumber));
    }
    void victim() override {
        box_.reset();
        outcome(Role::victim).values[1] = kOk;
        outcome(Role::victim).code = 1;
    }
    // The name is free although its owner never closed it.
    void recover(const Case& now) override {
        Result<RawMailbox> fresh = create(Owner::process);
        const bool others = now.mode == Mode::kill_stall;  // who may have created it meanwhile
        STOA_CHECK(fresh || (others && fresh.error().code == Errc::exists));
        if (fresh) fresh_.emplace(std::move(*fresh));
    }
    std::string verify(const Case& now) override;

protected:
    std::string use() override;

private:
    std::optional<RawMailbox> box_;     // the victim's
    std::optional<RawMailbox> opened_;  // the judge's
    std::optional<RawMailbox> fresh_;
};

std::string CloseScenario::use() {
    Result<RawMailbox> box = open();
    if (box) {
        opened_.emplace(std::move(*box));
        return {};
    }
    if (box.error().code != Errc::not_found) return describe(box.error());
    box = create(Owner::process);
    if (box) fresh_.emplace(std::move(*box));
    if (box || box.error().code == Errc::exists) return {};
    return describe(box.error());
}

std::string CloseScenario::verify(const Case& now) {
    if (!now.victim_dead && outcome(Role::victim).code != 1) return "the victim did not return";
    if (opened_) {
        const Result<RawMessage> got = opened_->try_receive();
        if (got || got.error().code != Errc::owner_gone) return "it outlives its owner";
    }
    if (fresh_) {
        if (std::string text = works(*fresh_); !text.empty()) return text;
    }
    fresh_.reset();
    opened_.reset();
    return is_free();
}

// --- open and destroy, of what the engine owns ---------------------------------------------------

class KeptScenario : public OwnedScenario {
public:
    void prepare() override {
        OwnedScenario::prepare();
        keeper_.emplace(create(Owner::process, stoa::Role::none).value());
        {
            RawMailbox box = open().value();
            for (std::uint64_t k = 0; k < 2; ++k) STOA_CHECK(send(box, kPreparedNumber + k));
        }
        const kit::Ending ending = kit::fork_and_run([&] {  // dies with a loan
            kit::kill_self_at("pool.claim.loaned");
            RawMailbox box = open().value();
            (void)send(box, 1);
        });
        STOA_CHECK(ending.signal == SIGKILL);
        const std::size_t bytes = kPage + Participants::bytes_for(kPlaces);
        void* const at =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, region().file().get(), 0);
        STOA_CHECK(at != MAP_FAILED);
        head_ = {static_cast<std::byte*>(at), bytes};
    }
    std::vector<std::span<std::byte>> shared() override { return {head_, region().content()}; }

protected:
    using OwnedScenario::OwnedScenario;

    [[nodiscard]] RegionImage& region() const { return keeper_->attachment().region(); }
    // Receives everything, and finds nothing lost.
    std::string drain(RawMailbox& box, std::uint32_t handles) {
        Result<RawMessage> got = box.try_receive();
        for (; got; got = box.try_receive()) {
            ledger_.got(read_payload(got->bytes()));
            if (!got->ack()) return "a message of ours is not ours";
        }
        if (got.error().code != Errc::empty) return describe(got.error());
        std::uint32_t taken = 0;
        region().participants().for_each([&](const Participant&) { ++taken; });
        if (taken != handles) return "a place is lost";
        const Result<MailboxFacts> facts = look_at_mailbox(kName, path());
        if (!facts) return describe(facts.error());
        const bool all_free = facts->free_chunks == facts->plan.pool.chunk_count;
        return all_free ? ledger_.balance() : "a chunk is lost";
    }

    std::optional<RawMailbox> keeper_;  // the engine's, which is alive
    std::span<std::byte> head_;
    Ledger ledger_;
};

class OpenScenario final : public KeptScenario {
public:
    OpenScenario() : KeptScenario{"name.owned_open"} {}

    void victim() override {
        Outcome& mine = outcome(Role::victim);
        Result<RawMailbox> box = open();
        if (box) mine.values[2] = send(*box, kVictimsNumber) ? 1 : 0;
        mine.values[1] = result_of(box);
        mine.code = 1;
    }
    void recover(const Case& /*now*/) override { STOA_CHECK(open()); }
    std::string verify(const Case& now) override {
        const Outcome& victim = outcome(Role::victim);
        if (!now.victim_dead && (victim.code != 1 || victim.values[1] != kOk)) {
            return "the victim could not open it";
        }
        for (std::uint64_t k = 0; k < 2; ++k) ledger_.must(kPreparedNumber + k);
        victim.values[2] != 0 ? ledger_.must(kVictimsNumber) : ledger_.may(kVictimsNumber);
        used_.reset();
        Result<RawMailbox> box = open();
        if (!box) return describe(box.error());
        const std::string text = drain(*box, 2);
        return text.empty() ? folder_holds(0) : text;
    }

protected:
    std::string use() override {
        used_.emplace(open().value());
        if (!send(*used_, next_)) return "a survivor cannot send";
        ledger_.must(next_++);
        return {};
    }

private:
    std::optional<RawMailbox> used_;
};

class DestroyScenario final : public KeptScenario {
public:
    DestroyScenario() : KeptScenario{"name.owned_destroy"} {}

    void victim() override {
        outcome(Role::victim).values[1] = result_of(RawMailbox::destroy(kName, path()));
        outcome(Role::victim).code = 1;
    }
    void recover(const Case& /*now*/) override { destroy(); }
    std::string verify(const Case& now) override {
        const Outcome& victim = outcome(Role::victim);
        const bool by_victim = victim.code == 1 && victim.values[1] == kOk;
        if (!now.victim_dead) {
            if (victim.code != 1) return "the victim did not return";
            if (!by_victim && victim.values[1] != failed(Errc::not_found)) return "it failed";
        }
        if (!region().condemned() || region().owner_gone()) return "it was not destroyed";
        if (!now.victim_dead && now.mode == Mode::stall && by_victim == destroyed_) {
            return "who destroyed it is not told right";
        }
        const Result<RawMailbox> box = open();
        if (box || box.error().code != Errc::not_found) return "it can still be opened";
        const Result<RawMailbox> second = create(Owner::process);
        if (second || second.error().code != Errc::exists) return "its owner has lost the name";
        return folder_holds(0);
    }

protected:
    std::string use() override {
        destroy();
        return {};
    }

private:
    void destroy() {
        const Result<void> gone = RawMailbox::destroy(kName, path());
        STOA_CHECK(gone || gone.error().code == Errc::not_found);
        destroyed_ = gone.has_value();
    }
    bool destroyed_ = false;  // by the judge
};

}  // namespace

void add_owned_scenarios(Scenarios& list) {
    const auto add = [&](const char* name, Owner victim, Owner rival) {
        list.push_back(std::make_unique<CreateScenario>(name, victim, rival));
    };
    add("name.owned_create", Owner::process, Owner::process);
    add("name.owned_create_beside_file", Owner::process, Owner::system);
    add("name.create_beside_owned", Owner::system, Owner::process);
    list.push_back(std::make_unique<CloseScenario>());
    list.push_back(std::make_unique<OpenScenario>());
    list.push_back(std::make_unique<DestroyScenario>());
}

}  // namespace stoa::crash
