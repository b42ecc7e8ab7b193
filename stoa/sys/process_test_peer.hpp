// For the tests of process.hpp: a child that says who it is, and both ways to probe it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "stoa/base/atomic.hpp"
#include "stoa/sys/mapping.hpp"
#include "stoa/sys/process.hpp"
#include "tests/kit/process.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa::sys {

[[noreturn]] inline void pause_forever() {
    for (;;) ::pause();
}

// A place in shared memory where a process of any namespace leaves its identity.
class Post {
public:
    void write() {
        words_->identity = self().value();
        words_->ready.store(1, kRelease);
    }
    [[nodiscard]] bool ready() const { return words_->ready.load(kAcquire) != 0; }
    [[nodiscard]] Identity read() const {
        EXPECT_TRUE(kit::wait_until([this] { return ready(); }));
        return words_->identity;
    }

private:
    struct Words {
        Atomic<std::uint32_t> ready{0};
        Identity identity;
    };
    Mapping mapping_ = map_anonymous_shared(sizeof(Words)).value();
    Words* words_ = new (mapping_.bytes().data()) Words;
};

class Peer {
public:
    explicit Peer(const std::function<void()>& then = pause_forever)
        : child_{[this, &then] {
              post_.write();
              then();
          }},
          identity_{post_.read()} {}

    [[nodiscard]] const Identity& identity() const { return identity_; }
    [[nodiscard]] kit::Child& child() { return child_; }
    [[nodiscard]] const kit::Child& child() const { return child_; }

private:
    Post post_;
    kit::Child child_;
    Identity identity_;
};

// The state letter of proc(5); '?' when there is no such process.
inline char state_of(std::uint32_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const std::size_t name_end = text.rfind(')');
    return name_end == std::string::npos ? '?' : text.at(name_end + 2);
}

// 0 while the process has one thread.
inline std::uint32_t second_thread_of(std::uint32_t pid) {
    std::error_code ignored;
    const std::string folder = "/proc/" + std::to_string(pid) + "/task";
    for (const auto& entry : std::filesystem::directory_iterator{folder, ignored}) {
        const auto thread = static_cast<std::uint32_t>(std::stoul(entry.path().filename()));
        if (thread != pid) return thread;
    }
    return 0;
}

// Both proofs of death must give the same answers; the parameter is the function.
using Way = Life (*)(const Identity&) noexcept;
class Probe : public testing::TestWithParam<Way> {
protected:
    [[nodiscard]] static Life life(const Identity& identity) { return GetParam()(identity); }
    [[nodiscard]] static bool by_handles() {
        return self() && uses_pidfs_handles() && GetParam() == &probe;
    }
};
inline std::string way_name(const testing::TestParamInfo<Way>& which) {
    return which.param == &probe ? "Default" : "StartTicks";
}

inline void PrintTo(Life life, std::ostream* out) {
    *out << (life == Life::alive ? "alive" : life == Life::dead ? "dead" : "unknown");
}

}  // namespace stoa::sys
