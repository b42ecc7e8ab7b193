// Rival: Eclipse iceoryx 2, loans in shared memory; its daemon runs for as long as this program.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <system_error>

#include "bench/rivals/packaged.hpp"

namespace stoa::bench {

namespace {

constexpr const char* kConfig = R"([general]
version = 1
[[segment]]
[[segment.mempool]]
size = 128
count = 4000
[[segment.mempool]]
size = 1280
count = 2000
[[segment.mempool]]
size = 65600
count = 400
[[segment.mempool]]
size = 1048704
count = 60
)";

void write_file(const char* path, const std::string& text) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const bool written = fd >= 0 && write(fd, text.data(), text.size()) == std::ssize(text);
    if (fd >= 0) close(fd);
    if (!written) _exit(126);
}

// Gives this process a /tmp and a /dev/shm of its own: iceoryx has fixed names there, and leaves
// them behind when a process does not end by itself.
void hide_names() {
    const std::string user = "0 " + std::to_string(getuid()) + " 1";
    const std::string group = "0 " + std::to_string(getgid()) + " 1";
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(125);
        write_file("/proc/self/setgroups", "deny");
        write_file("/proc/self/uid_map", user);
        write_file("/proc/self/gid_map", group);
    }
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(125);
    for (const char* folder : {"/tmp", "/dev/shm"}) {
        if (mount("tmpfs", folder, "tmpfs", 0, nullptr) != 0) _exit(125);
    }
}

// iox-roudi: started at the first need in a mount namespace of its own, which its clients enter;
// all of it vanishes with this program.
class Daemon {
public:
    Daemon() : parent_{getpid()} {
        int output[2];
        if (pipe2(output, O_CLOEXEC) != 0) throw Unavailable{"no pipe for iox-roudi"};
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            hide_names();
            write_file("/tmp/pools.toml", kConfig);
            dup2(output[1], STDOUT_FILENO);
            dup2(output[1], STDERR_FILENO);
            execlp("iox-roudi", "iox-roudi", "-c", "/tmp/pools.toml", "-l", "off", nullptr);
            _exit(127);
        }
        close(output[1]);
        output_ = output[0];
        if (pid_ < 0 || !await_ready()) {
            stop();
            throw Unavailable{"iox-roudi does not start in a mount namespace of its own"};
        }
        pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon() { stop(); }

    // This process, which has one thread, then sees the daemon's names.
    void enter() const {
        if (setns(pidfd_, CLONE_NEWNS) == 0) return;
        if (setns(pidfd_, CLONE_NEWUSER | CLONE_NEWNS) == 0) return;
        throw std::system_error{errno, std::generic_category(), "setns to iox-roudi"};
    }

private:
    bool await_ready() const {
        std::string text;
        while (text.find("RouDi is ready") == std::string::npos) {
            pollfd wait{output_, POLLIN, 0};
            if (poll(&wait, 1, 10'000) <= 0) return false;
            char part[512];
            const ssize_t n = read(output_, part, sizeof part);
            if (n <= 0) return false;
            text.append(part, static_cast<std::size_t>(n));
        }
        return true;
    }
    void stop() noexcept {
        if (pid_ <= 0 || getpid() != parent_) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        close(output_);
        if (pidfd_ >= 0) close(pidfd_);
        pid_ = -1;
    }
    pid_t parent_;
    pid_t pid_ = -1;
    int pidfd_ = -1;
    int output_ = -1;
};

const Daemon& daemon() {
    static const Daemon running;
    return running;
}

using iox::popo::UntypedPublisher;
using iox::popo::UntypedSubscriber;

class IceoryxEnd {
public:
    IceoryxEnd(const char* out, const char* in, const std::string& id, const Case& c) {
        const iox::capro::IdString_t instance{iox::cxx::TruncateToCapacity, id};
        if (out != nullptr) {
            iox::popo::PublisherOptions options;
            options.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
            publisher_ = std::make_unique<UntypedPublisher>(
                iox::capro::ServiceDescription{
                    "stoa-bench", instance, {iox::cxx::TruncateToCapacity, out}},
                options);
        }
        if (in != nullptr) {
            iox::popo::SubscriberOptions options;
            options.queueCapacity = std::clamp<std::size_t>(c.ring_bytes() / c.bytes, 4, 256);
            options.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
            subscriber_ = std::make_unique<UntypedSubscriber>(
                iox::capro::ServiceDescription{
                    "stoa-bench", instance, {iox::cxx::TruncateToCapacity, in}},
                options);
            if (c.waiting() != Waiting::spin) sleep_for_data();
        }
        while (publisher_ && !publisher_->hasSubscribers()) sleep_us(1000);
        while (subscriber_ &&
               subscriber_->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED) {
            sleep_us(1000);
        }
    }

    template <class Fill>
    void send(std::size_t bytes, Fill&& fill) {
        for (;;) {
            auto loan = publisher_->loan(static_cast<std::uint32_t>(bytes), 8);
            if (loan.has_error()) {  // all chunks are in flight
                cpu_pause();
                continue;
            }
            fill(static_cast<std::byte*>(loan.value()));
            publisher_->publish(loan.value());
            return;
        }
    }
    template <class Visit>
    void receive(Visit&& visit) {
        for (;;) {
            auto sample = subscriber_->take();
            if (sample.has_error()) {
                if (wait_set_) {
                    wait_set_->wait();
                } else {
                    cpu_pause();
                }
                continue;
            }
            const auto* header = iox::mepoo::ChunkHeader::fromUserPayload(sample.value());
            visit(static_cast<const std::byte*>(sample.value()), header->userPayloadSize());
            subscriber_->release(sample.value());
            return;
        }
    }

private:
    void sleep_for_data() {
        wait_set_ = std::make_unique<iox::popo::WaitSet<1>>();
        if (wait_set_->attachState(*subscriber_, iox::popo::SubscriberState::HAS_DATA)
                .has_error()) {
            throw std::runtime_error{"iceoryx: attachState"};
        }
    }
    std::unique_ptr<UntypedPublisher> publisher_;
    std::unique_ptr<UntypedSubscriber> subscriber_;
    std::unique_ptr<iox::popo::WaitSet<1>> wait_set_;
};

// Publish and subscribe: every subscriber gets every message, so there is no two-and-two.
class Iceoryx {
public:
    static bool supports(const Case& c) { return c.workload != Workload::many_to_many; }
    explicit Iceoryx(const Case& c) : c_{c} { static_cast<void>(daemon()); }
    IceoryxEnd connect(const Role& role) {
        daemon().enter();
        const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(nowhere, STDOUT_FILENO);  // it talks on both
        dup2(nowhere, STDERR_FILENO);
        iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kOff);
        const std::string name = c_.id + "-" + std::string{is_first(role) ? "a" : "b"};
        iox::runtime::PoshRuntime::initRuntime({iox::cxx::TruncateToCapacity, name});
        switch (role.part) {
            case Part::sender: return {"there", nullptr, c_.id, c_};
            case Part::receiver: return {nullptr, "there", c_.id, c_};
            case Part::client: return {"there", "back", c_.id, c_};
            default: return {"back", "there", c_.id, c_};
        }
    }

private:
    Case c_;
};

}  // namespace

void add_iceoryx(Subjects& subjects) {
    subjects.list.push_back(subject_of<Iceoryx>("iceoryx", Kind::rival));
}

}  // namespace stoa::bench
