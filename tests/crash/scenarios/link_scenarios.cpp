// Process names and links: join, take over a dead one's name, leave, connect, send, receive, call
// and reply, pulse, and the collection of what only the dead used.
//
// Whatever happens to the victim, its names are free at once, what it sent to one who lives and
// said so is there, a link that holds a message was knocked for, nobody else is held up, and what
// only the dead used is collected. The peer that lives is the engine itself.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "stoa/base/check.hpp"
#include "stoa/link/process.hpp"
#include "stoa/mailbox/admin.hpp"
#include "stoa/sys/file.hpp"
#include "tests/crash/scenarios/scenarios.hpp"
#include "tests/kit/crash_at.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/temp.hpp"

namespace stoa::crash {
namespace {

constexpr std::uint32_t kPlaces = 32;  // of the table, those that are used here
constexpr LinkOptions kSmall{.capacity = bounded(4), .max_bytes = 64, .reserve_bytes = 4096};

// A folder whose prepared files and their bytes are put back before every run.
class LinkFolder {
public:
    [[nodiscard]] const std::string& path() const noexcept { return domain_.path(); }
    [[nodiscard]] std::vector<std::string> entries() const { return domain_.entries(); }

    void keep() {
        for (const std::string& file : domain_.entries()) {
            const int fd = ::open((path() + "/" + file).c_str(), O_RDWR | O_CLOEXEC);
            STOA_CHECK(fd >= 0);
            const auto bytes = static_cast<std::size_t>(::lseek(fd, 0, SEEK_END));
            void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            STOA_CHECK(at != MAP_FAILED);
            const std::span<std::byte> all{static_cast<std::byte*>(at), bytes};
            const std::size_t head = kRegionTableOffset + Participants::bytes_for(kPlaces);
            const RegionLayout* layout = layout_at<RegionLayout>(all, 0);
            areas_.push_back(all.first(head));
            areas_.push_back(all.subspan(layout->content_offset, layout->content_bytes));
            STOA_CHECK(
                ::link((path() + "/" + file).c_str(), (links_.path() + "/" + file).c_str()) == 0);
            ::close(fd);
        }
    }
    void reset() const {
        domain_.clear();
        for (const std::string& file : links_.entries()) {
            STOA_CHECK(
                ::link((links_.path() + "/" + file).c_str(), (path() + "/" + file).c_str()) == 0);
        }
    }
    [[nodiscard]] std::vector<std::span<std::byte>> areas() const { return areas_; }

private:
    kit::TempDomain links_;
    kit::TempDomain domain_;
    std::vector<std::span<std::byte>> areas_;
};

// What the victim has in its hands. It is killed with it, or ends without a word.
struct Hands {
    std::unique_ptr<Process> first{};
    std::unique_ptr<Process> second{};
};

struct LinkCase {
    std::string name;
    std::function<void(const std::string& domain)> prepare{};
    std::function<void(Hands&, const std::string& domain)> begin{};
    // How many messages for the peer it has sent; 1000 and more: it failed.
    std::function<std::uint64_t(Hands&, const std::string& domain)> operation;
};

constexpr std::uint64_t kFailed = 1000;

std::unique_ptr<Process> join(const std::string& domain, const char* name) {
    return std::make_unique<Process>(
        Process::join(name, {.links = kSmall, .waiting = Waiting::park, .domain = domain}).value());
}

class LinkScenario final : public Scenario {
public:
    explicit LinkScenario(LinkCase details) : case_{std::move(details)} {}

    std::string name() const override { return "link." + case_.name; }
    std::vector<std::span<std::byte>> shared() override { return folder_->areas(); }
    bool external() const override { return true; }
    void reset() override { folder_->reset(); }
    void prepare() override {
        folder_.emplace();
        peer_ = join(path(), "peer").release();  // lives as long as the engine, and never leaves
        if (case_.prepare) {
            const kit::Ending ending = kit::fork_and_run([&] {
                case_.prepare(path());
                ::kill(::getpid(), SIGKILL);
            });
            STOA_CHECK(ending.signal == SIGKILL);
        }
        folder_->keep();
    }
    void victim_begin() override {
        (void)sys::self();
        if (case_.begin) case_.begin(hands_, path());
    }
    void victim() override {
        const std::uint64_t sent = case_.operation(hands_, path());
        outcome(Role::victim).values[1] = sent;
        outcome(Role::victim).code = 1;
    }
    // It ends as if it were killed: names stay as they are.
    void victim_end() override {
        static_cast<void>(hands_.first.release());
        static_cast<void>(hands_.second.release());
    }
    void recover_begin(const Case&) override { (void)sys::self(); }
    void recover(const Case&) override {
        STOA_CHECK(collect_link_garbage(false, path()).has_value());
    }
    // Beside one that stands still: others join, connect and send.
    std::string interfere(const Case&) override {
        const std::unique_ptr<Process> third = join(path(), "third");
        if (!third->try_send("peer", 3)) return "another one cannot send to the peer";
        if (!Process::find("peer", path())) return "the peer is not found";
        return Process::list(path()) ? "" : "the names cannot be listed";
    }
    std::string verify(const Case& now) override;

private:
    [[nodiscard]] const std::string& path() const { return folder_->path(); }
    [[nodiscard]] std::string check_links(const Case& now) const;

    LinkCase case_;
    std::optional<LinkFolder> folder_;
    Process* peer_ = nullptr;
    Hands hands_;
};

// What lies in links for the peer: as many as were sent, and each link was knocked for.
std::string LinkScenario::check_links(const Case& now) const {
    const std::uint64_t peer_id = peer_->core().join_id();
    std::set<std::uint64_t> knocks;
    peer_->core().region().for_each_knock([&](std::uint64_t id) {
        knocks.insert(id);
        return false;
    });
    const Result<Domain> domain = Domain::find(path());
    std::uint64_t waiting = 0;
    for (const std::string& file : folder_->entries()) {
        if (!file.ends_with(kLinkSuffix)) continue;
        const Result<LinkDepths> depths = look_at_link(*domain, file);
        if (!depths) return file + " is damaged: " + describe(depths.error());
        const Result<LinkEnds> ends = ends_in(depths->text);
        if (!ends) return file + " does not say whose it is";
        for (int seat = 0; seat < 2; ++seat) {
            if (ends->ids[1 - seat] != peer_id) continue;
            // A third one's, of a stall, sent one message and the last word that ends a link.
            if (ends->names[seat] == "third") continue;
            waiting += depths->sent_by[seat];
            if (depths->sent_by[seat] > 0 && !knocks.contains(ends->ids[seat])) {
                return "a message waits in a link that the peer does not know of";
            }
        }
    }
    const std::uint64_t sent = outcome(Role::victim).values[1];
    if (outcome(Role::victim).code == 1 && waiting != sent) {
        return std::to_string(sent) + " were sent, " + std::to_string(waiting) + " wait";
    }
    if (now.victim_dead && waiting > 2) return "more waits than was sent";
    return {};
}

std::string LinkScenario::verify(const Case& now) {
    const Outcome& victim = outcome(Role::victim);
    if (!now.victim_dead) {
        if (victim.code != 1) return "the victim did not return";
        if (victim.values[1] >= kFailed) {
            return "the victim failed with " + std::to_string(victim.values[1] - kFailed);
        }
    }
    if (std::string text = check_links(now); !text.empty()) return text;
    for (const char* name : {"victim", "second"}) {
        const Result<Process> again =
            Process::join(name, {.waiting = Waiting::park, .domain = path()});
        if (!again && (now.victim_dead || again.error().code != Errc::in_use)) {
            return std::string{name} + " cannot be joined again: " + describe(again.error());
        }
    }
    if (!now.victim_dead) return {};
    if (!collect_link_garbage(false, path())) return "the garbage cannot be collected";
    for (const std::string& file : folder_->entries()) {
        if (file != "peer.process" && !file.ends_with(kLinkSuffix)) {
            return file + " was left in the folder";
        }
    }
    return {};
}

std::uint64_t result_of(const Result<void>& done, std::uint64_t sent) {
    return done ? sent : kFailed + static_cast<std::uint64_t>(done.error().code);
}

// --- both ends in one process -------------------------------------------------------------------

void two(Hands& hands, const std::string& domain) {
    hands.first = join(domain, "victim");
    hands.second = join(domain, "second");
}

// Join ids, and with them where a knock lies, are the same in every run when the names are there.
void both_names(const std::string& domain) {
    join(domain, "victim").release();
    join(domain, "second").release();
}

std::uint64_t receive_one(Hands& hands, const std::string&) {
    const Result<Received<int>> got = hands.second->try_receive<int>();
    return got && got->value() == 1 ? 0 : kFailed;
}

std::uint64_t ask_and_answer(Hands& hands, const std::string&) {
    const Result<Received<int>> none =
        hands.first->call_for<int>("second", 5, std::chrono::nanoseconds{0});
    if (none || none.error().code != Errc::timed_out) return kFailed;
    Result<Received<int>> call = hands.second->try_receive<int>();
    if (!call || !call->is_call() || !call->reply(6)) return kFailed;
    return 0;
}

void add_names(std::vector<LinkCase>& list) {
    const auto join_it = [](Hands& hands, const std::string& domain) {
        hands.first = join(domain, "victim");
        return std::uint64_t{0};
    };
    const auto owned_by_a_dead_one = [](const std::string& domain) {
        join(domain, "victim").release();
    };
    list.push_back({.name = "join", .operation = join_it});
    list.push_back({.name = "take_over", .prepare = owned_by_a_dead_one, .operation = join_it});
    list.push_back({.name = "leave",
                    .begin =
                        [](Hands& hands, const std::string& domain) {
                            hands.first = join(domain, "victim");
                            STOA_CHECK(hands.first->send("peer", 1).has_value());
                        },
                    .operation =
                        [](Hands& hands, const std::string&) {
                            hands.first->leave();
                            return std::uint64_t{2};  // and the last word
                        }});
    list.push_back(
        {.name = "show",
         .begin = [](Hands& hands,
                     const std::string& domain) { hands.first = join(domain, "victim"); },
         .operation =
             [](Hands& hands, const std::string&) {
                 return result_of(hands.first->set_attribute("key", "value"), 0);
             }});
    list.push_back({.name = "collect",
                    .prepare =
                        [](const std::string& domain) {
                            Process* const one = join(domain, "victim").release();
                            Process* const other = join(domain, "second").release();
                            STOA_CHECK(one->send("second", 1) && one->pulse("second", 1));
                            (void)other;
                        },
                    .operation =
                        [](Hands&, const std::string& domain) {
                            return collect_link_garbage(false, domain) ? std::uint64_t{0} : kFailed;
                        }});
}

void add_messages(std::vector<LinkCase>& list) {
    const auto first_joins = [](Hands& hands, const std::string& domain) {
        hands.first = join(domain, "victim");
    };
    const auto send_one = [](Hands& hands, const std::string&) {
        return result_of(hands.first->try_send("peer", 1), 1);
    };
    list.push_back({.name = "connect", .begin = first_joins, .operation = send_one});
    list.push_back({.name = "send",
                    .begin =
                        [](Hands& hands, const std::string& domain) {
                            hands.first = join(domain, "victim");
                            STOA_CHECK(hands.first->send("peer", 1).has_value());
                        },
                    .operation =
                        [](Hands& hands, const std::string&) {
                            return result_of(hands.first->try_send("peer", 2), 2);
                        }});
    list.push_back({.name = "accept",
                    .prepare = both_names,
                    .begin =
                        [](Hands& hands, const std::string& domain) {
                            two(hands, domain);
                            STOA_CHECK(hands.first->send("second", 1).has_value());
                        },
                    .operation = receive_one});
    list.push_back({.name = "receive",
                    .prepare = both_names,
                    .begin =
                        [](Hands& hands, const std::string& domain) {
                            two(hands, domain);
                            STOA_CHECK(hands.first->send("second", 0).has_value());
                            STOA_CHECK(hands.second->receive<int>().has_value());
                            STOA_CHECK(hands.first->send("second", 1).has_value());
                        },
                    .operation = receive_one});
    list.push_back({.name = "call",
                    .prepare = both_names,
                    .begin =
                        [](Hands& hands, const std::string& domain) {
                            two(hands, domain);
                            STOA_CHECK(hands.first->send("second", 0).has_value());
                            STOA_CHECK(hands.second->receive<int>().has_value());
                        },
                    .operation = ask_and_answer});
    list.push_back(
        {.name = "pulse", .begin = two, .operation = [](Hands& hands, const std::string&) {
             return result_of(hands.first->pulse("second", 7), 0);
         }});
}

}  // namespace

void add_link_scenarios(Scenarios& list) {
    std::vector<LinkCase> cases;
    add_names(cases);
    add_messages(cases);
    for (LinkCase& each : cases) list.push_back(std::make_unique<LinkScenario>(std::move(each)));
}

}  // namespace stoa::crash
