#include "tests/kit/command.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <utility>

#include "stoa/base/check.hpp"

namespace stoa::kit {
namespace {

[[noreturn]] void start(std::vector<std::string> arguments, const CommandSetup& setup, int in,
                        int out, int err) {
    ::dup2(in, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    if (setup.in_child) setup.in_child();
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    ::execv(words[0], words.data());
    std::fprintf(stderr, "%s: %s\n", words[0], std::strerror(errno));
    ::_exit(127);
}

class Copy {
public:
    explicit Copy(const std::string& program) : owner_{::getpid()} {
        std::string folder = std::filesystem::temp_directory_path() / "stoa-tool-XXXXXX";
        STOA_CHECK(::mkdtemp(folder.data()) != nullptr);
        folder_ = folder;
        path_ = folder_ / std::filesystem::path{program}.filename();
        std::filesystem::copy_file(program, path_);
        using enum std::filesystem::perms;
        constexpr auto kForAll = owner_all | group_read | group_exec | others_read | others_exec;
        std::filesystem::permissions(folder_, kForAll);
        std::filesystem::permissions(path_, kForAll);
    }
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    ~Copy() {
        std::error_code ignored;
        if (owner_ == ::getpid()) std::filesystem::remove_all(folder_, ignored);
    }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    pid_t owner_;
    std::filesystem::path folder_;
    std::string path_;
};

}  // namespace

const std::string& reachable(const std::string& program) {
    if (::geteuid() != 0) return program;
    static std::map<std::string, std::unique_ptr<Copy>> copies;
    std::unique_ptr<Copy>& copy = copies[program];
    if (copy == nullptr) copy = std::make_unique<Copy>(program);
    return copy->path();
}

MemoryFile::MemoryFile(const std::string& content)
    : descriptor_{::memfd_create("stoa-test", MFD_CLOEXEC)} {
    STOA_CHECK(descriptor_ >= 0);
    const auto size = static_cast<ssize_t>(content.size());
    STOA_CHECK(::pwrite(descriptor_, content.data(), content.size(), 0) == size);
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept
    : descriptor_{std::exchange(other.descriptor_, -1)} {}

MemoryFile::~MemoryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

std::string MemoryFile::content() const {
    const off_t size = ::lseek(descriptor_, 0, SEEK_END);  // writers share no offset: O_APPEND
    std::string text(static_cast<std::size_t>(size), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t count =
            ::pread(descriptor_, text.data() + done, text.size() - done, static_cast<off_t>(done));
        if (count <= 0) break;
        done += static_cast<std::size_t>(count);
    }
    text.resize(done);
    return text;
}

Command::Command(std::vector<std::string> arguments, CommandSetup setup)
    : in_{setup.input}, child_{[&] {
          for (const MemoryFile* file : {&out_, &err_}) {
              ::fcntl(file->descriptor(), F_SETFL, O_APPEND);
          }
          start(arguments, setup, in_.descriptor(), out_.descriptor(), err_.descriptor());
      }} {}

Finished Command::wait(std::chrono::milliseconds watchdog) {
    const Ending ending = child_.wait(watchdog);
    return {.status = ending.exited ? ending.status : -1,
            .signal = ending.signal,
            .out = out(),
            .err = err()};
}

Finished Command::kill_and_wait() {
    child_.kill();
    return wait();
}

Finished run(std::vector<std::string> arguments, CommandSetup setup) {
    return Command{std::move(arguments), std::move(setup)}.wait();
}

void become_nobody() {
    if (::geteuid() != 0) return;
    STOA_CHECK(::setgroups(0, nullptr) == 0);
    STOA_CHECK(::setresgid(kNobody, kNobody, kNobody) == 0);
    STOA_CHECK(::setresuid(kNobody, kNobody, kNobody) == 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // another user: the kernel forgot it
}

}  // namespace stoa::kit
