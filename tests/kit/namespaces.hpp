// Namespaces of its own for a child of a test: small file systems, other pid namespaces.
//
// Start here: in a child: enter_namespaces(CLONE_NEWNS), then mount_tmpfs("/path", 1 MiB); or
//             enter_namespaces(CLONE_NEWNS | CLONE_NEWPID), then Init{body}.
// Threads:    the calling process must have one thread.
// Processes:  changes the caller only; after CLONE_NEWPID its next child is pid 1 of the new one.
// Death:      namespaces and their mounts vanish with their last process.
// Blocking:   never.
// Lifetime:   until the calling process ends.
// Units:      bytes.
// Source:     unshare(2), user_namespaces(7); needs root or unprivileged user namespaces.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

namespace stoa::kit {

// Ends the child with a sentence: a test that cannot make its scene has failed.
inline void must(bool done, const char* what) {
    if (done) return;
    std::fprintf(stderr, "%s: %s (needs root or unprivileged user namespaces)\n", what,
                 std::strerror(errno));
    std::_Exit(1);
}

inline void write_text(const char* path, const std::string& text) {
    const int file = ::open(path, O_WRONLY | O_CLOEXEC);
    must(file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
         path);
    ::close(file);
}

// So that what is mounted here is not seen outside. In a chroot / is no mount point, and each mount
// below it is made private by itself.
inline void make_mounts_private() {
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return;
    must(errno == EINVAL, "mount private");
    std::ifstream mounts{"/proc/self/mountinfo"};
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words{line};
        std::string word;
        for (int i = 0; i < 5; ++i) words >> word;  // the fifth is the mount point
        must(::mount("none", word.c_str(), nullptr, MS_PRIVATE, nullptr) == 0, word.c_str());
    }
}

// `flags`: CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME. A user who is not root becomes root of a user
// namespace first.
inline void enter_namespaces(int flags) {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    if (user == 0) {
        must(::unshare(flags) == 0, "unshare");
    } else {
        must(::unshare(flags | CLONE_NEWUSER) == 0, "unshare with CLONE_NEWUSER");
        write_text("/proc/self/setgroups", "deny");
        write_text("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
        write_text("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
    }
    if ((flags & CLONE_NEWNS) != 0) make_mounts_private();
}

// An empty tmpfs of this size over an existing folder; call after enter_namespaces(CLONE_NEWNS).
inline void mount_tmpfs(const char* path, std::size_t size_bytes) {
    const std::string options = "mode=0700,size=" + std::to_string(size_bytes);
    must(::mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0,
         "mount tmpfs");
}

// The /proc of the caller's pid namespace; call in pid 1 of the new one.
inline void mount_proc() {
    must(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0,
         "mount proc");
}

// The first process after enter_namespaces(CLONE_NEWPID): pid 1 of the new namespace; when it ends
// the kernel kills the others there. (A kit::Child cannot be the first: it looks for its parent's
// pid.)
class Init {
public:
    explicit Init(const std::function<void()>& body) : pid_{::fork()} {
        must(pid_ >= 0, "fork");
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        body();
        std::fflush(nullptr);
        ::_exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    Init(const Init&) = delete;
    Init& operator=(const Init&) = delete;
    ~Init() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        (void)wait();
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    // True when the body returned and no EXPECT failed in it.
    [[nodiscard]] bool wait() {
        int status = -1;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return status == 0;
    }

private:
    pid_t pid_;
};

}  // namespace stoa::kit
