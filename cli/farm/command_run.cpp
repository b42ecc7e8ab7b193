#include "cli/farm/command_run.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "cli/farm/wait_for.hpp"
#include "stoa/sys/errno.hpp"

namespace stoa::cli::farm {
namespace {

constexpr std::uint64_t kDefaultPipeBytes = 64 * 1024;
constexpr int kPipeBytes = 256 * 1024;
constexpr int kNotStarted = 127;

bool is_program(const std::string& path) noexcept {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
           ::access(path.c_str(), X_OK) == 0;
}

struct Pipe {
    sys::Fd read;
    sys::Fd write;
};

Result<Pipe> make_pipe() noexcept {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return sys::fail_errno("pipe");
    return Pipe{sys::Fd{ends[0]}, sys::Fd{ends[1]}};
}

struct Start {  // all that the child needs
    const Host* host;
    int in;
    int out;
    pid_t parent;
    int* note;
};

// Between vfork and exec: system calls only, on our parent's memory. The child leads a process
// group of its own and dies with its parent; if that died before we asked for it, nobody would tell
// us, so look.
[[noreturn]] void become(const Start& start) noexcept {
    const Host& host = *start.host;
    if (::setpgid(0, 0) == 0 && host.groups.enter(host.place, host.serial, ::getpid()) &&
        ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == start.parent &&
        ::dup2(start.in, STDIN_FILENO) >= 0 && ::dup2(start.out, STDOUT_FILENO) >= 0) {
        (void)::sigprocmask(SIG_SETMASK, &host.mask, nullptr);
        (void)::execve(host.program.path(), host.program.arguments(), environ);
    }
    *start.note = errno;
    ::_exit(kNotStarted);
}

// A function of its own: nothing of the caller's frame changes while the child runs in it.
[[gnu::noinline]] pid_t start_child(const Start& start) noexcept {
    const pid_t pid = ::vfork();
    if (pid == 0) become(start);
    return pid;
}

}  // namespace

Program::Program(std::string path, std::vector<std::string> words)
    : path_{std::move(path)}, words_{std::move(words)} {
    for (std::string& word : words_) pointers_.push_back(word.data());
    pointers_.push_back(nullptr);
}

Result<Program> Program::find(std::vector<std::string> words) {
    const std::string name = words.at(0);
    if (name.find('/') != std::string::npos) {
        if (is_program(name)) return Program{name, std::move(words)};
        return fail(::access(name.c_str(), F_OK) == 0 ? Errc::denied : Errc::not_found, "COMMAND");
    }
    const char* path = std::getenv("PATH");
    std::string_view folders = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
    for (bool more = true; more;) {
        const std::size_t end = folders.find(':');
        more = end != std::string_view::npos;
        std::string candidate{end == 0 || folders.empty() ? "." : folders.substr(0, end)};
        candidate.append("/").append(name);
        if (is_program(candidate)) return Program{candidate, std::move(words)};
        if (more) folders.remove_prefix(end + 1);
    }
    return fail(Errc::not_found, "COMMAND");
}

CommandRun::CommandRun(const Host& host, const Input& input) : host_{host}, input_{input} {
    ended_.start_errno = start();
}

// Why COMMAND was not started; its process writes it before it ends.
int& CommandRun::note() const noexcept {
    return *reinterpret_cast<int*>(host_.note.bytes().data());
}

int CommandRun::start() {
    Result<Pipe> in = make_pipe();
    Result<Pipe> out = make_pipe();
    if (!in) return in.error().os_errno;
    if (!out) return out.error().os_errno;
    // Small tasks fit as a whole: then COMMAND never waits for us. If refused, it does.
    if (input_.bytes > kDefaultPipeBytes) {
        (void)::fcntl(in->write.get(), F_SETPIPE_SZ, kPipeBytes);
    }
    (void)::fcntl(in->write.get(), F_SETFL, O_NONBLOCK);
    to_ = std::move(in->write);
    feed();
    note() = 0;
    pid_ = start_child({&host_, in->read.get(), out->write.get(), ::getpid(), &note()});
    if (pid_ < 0) return errno;
    from_ = std::move(out->read);
    return 0;
}

// As much as fits now.
void CommandRun::feed() noexcept {
    while (input_.bytes > 0) {
        ssize_t count = 0;
        if (input_.file != nullptr) {
            auto offset = static_cast<off_t>(input_.offset);
            count = ::sendfile(to_.get(), input_.file->get(), &offset, input_.bytes);
        } else {
            count = ::write(to_.get(), input_.memory.data() + input_.offset, input_.bytes);
        }
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return;
        if (count <= 0) break;  // it reads no more (EPIPE)
        input_.offset += static_cast<std::uint64_t>(count);
        input_.bytes -= static_cast<std::uint64_t>(count);
    }
    to_ = sys::Fd{};
}

Result<std::size_t> CommandRun::read(std::span<std::byte> room) {
    if (pid_ <= 0) return 0;
    for (;;) {
        if (feeding()) {
            pollfd looks[] = {{to_.get(), POLLOUT, 0}, {from_.get(), POLLIN, 0}};
            if (::poll(looks, 2, -1) < 0) continue;
            if (looks[0].revents != 0) feed();
            if (looks[1].revents == 0) continue;
        }
        const ssize_t count = ::read(from_.get(), room.data(), room.size());
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno != EINTR) return sys::fail_errno("read (output of COMMAND)");
    }
}

Result<Ended> CommandRun::finish() {
    if (pid_ <= 0) return ended_;
    // What it started may hold its input and read nothing; then its end is the end of feeding.
    constexpr int kLookMs = 50;
    while (feeding()) {
        pollfd room{to_.get(), POLLOUT, 0};
        if (::poll(&room, 1, kLookMs) > 0) feed();
        siginfo_t ended{};
        if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT | WNOHANG) == 0 &&
            ended.si_pid == pid_) {
            break;
        }
    }
    to_ = sys::Fd{};
    reap();
    return ended_;
}

// Its group is forgotten between its end and the moment when its number is free again.
void CommandRun::reap() noexcept {
    siginfo_t ended;
    while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT) < 0 &&
           errno == EINTR) {
    }
    host_.groups.leave(host_.place, host_.serial);
    ended_.start_errno = note();
    while (::waitpid(pid_, &ended_.status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
}

CommandRun::~CommandRun() {
    if (pid_ <= 0) return;
    (void)::kill(-pid_, SIGKILL);
    reap();
}

}  // namespace stoa::cli::farm
