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

}  // namespace

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
