// What the tests of `stoa farm` share: the command run as its users do, and what is left of it.
#pragma once

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "stoa/base/check.hpp"
#include "tests/kit/command.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {

using Words = std::vector<std::string>;

struct ProcessLook {
    pid_t parent = 0;
    std::string name;
    bool ended = true;
};

inline ProcessLook look_at(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string text;
    std::getline(file, text);
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos) return {};
    std::istringstream rest{text.substr(close + 1)};
    char state = 'X';
    ProcessLook look;
    rest >> state >> look.parent;
    look.name = text.substr(open + 1, close - open - 1);
    look.ended = state == 'Z' || state == 'X';
    return look;
}

inline std::vector<pid_t> all_processes() {
    std::vector<pid_t> pids;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") == std::string::npos) {
            pids.push_back(std::stoi(name));
        }
    }
    return pids;
}

inline std::vector<pid_t> workers_of(pid_t head) {
    std::vector<pid_t> pids = all_processes();
    std::erase_if(pids, [&](pid_t pid) {
        const ProcessLook look = look_at(pid);
        return look.parent != head || look.name != "stoa-worker" || look.ended;
    });
    return pids;
}

// Only if it is a worker of this head, even if its number went to somebody else meanwhile.
inline bool kill_worker(pid_t head, pid_t worker) {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, worker, 0));
    if (pidfd < 0) return false;
    const ProcessLook look = look_at(worker);
    const bool killed = look.parent == head && look.name == "stoa-worker" && !look.ended &&
                        ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0) == 0;
    ::close(pidfd);
    return killed;
}

class FarmTest : public testing::Test {
protected:
    FarmTest() {
        std::filesystem::create_directory(scratch());
        if (::geteuid() == 0) {
            for (const std::string& folder : {domain_.path(), scratch()}) {
                STOA_CHECK(::chown(folder.c_str(), kit::kNobody, kit::kNobody) == 0);
            }
        }
    }
    // Nothing is left: no process, nothing on the disk, nothing in the domain.
    void TearDown() override {
        EXPECT_TRUE(kit::wait_until([&] { return processes().empty(); })) << processes();
        EXPECT_TRUE(std::filesystem::is_empty(scratch()));
        std::filesystem::remove_all(scratch());
        domain_.clear();
        EXPECT_EQ(leaks_.leaks(), "");
    }

    static Words line(Words words) {
        const Words front{kit::reachable(STOA_COMMAND), "farm"};
        words.insert(words.begin(), front.begin(), front.end());
        return words;
    }
    [[nodiscard]] kit::CommandSetup as_user(kit::CommandSetup setup) const {
        setup.in_child = [this, scene = std::move(setup.in_child)] {
            kit::become_nobody();
            ::setenv("TMPDIR", scratch().c_str(), 1);
            ::setenv("FARM_TEST", domain_.path().c_str(), 1);  // inherited: marks its processes
            if (scene) scene();
        };
        return setup;
    }
    kit::Finished farm(Words words, kit::CommandSetup setup = {}) {
        return kit::run(line(std::move(words)), as_user(std::move(setup)));
    }
    kit::Command start(Words words, kit::CommandSetup setup = {}) {
        return kit::Command{line(std::move(words)), as_user(std::move(setup))};
    }
    // Like farm(), asserting that it was done and said nothing but its output.
    std::string done(Words words, const std::string& input) {
        const kit::Finished end = farm(std::move(words), {.input = input});
        EXPECT_EQ(end.status, 0) << end.err;
        EXPECT_EQ(end.err, "");
        return end.out;
    }

    [[nodiscard]] std::string path(const std::string& name) const {
        return domain_.path() + "/" + name;
    }
    [[nodiscard]] std::string scratch() const { return path("scratch"); }
    [[nodiscard]] bool is_there(const std::string& name) const {
        return std::filesystem::exists(path(name));
    }
    void make_file(const std::string& name) const { std::ofstream{path(name)} << "x"; }
    [[nodiscard]] std::string content(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream{path(name)}.rdbuf();
        return text.str();
    }
    [[nodiscard]] std::size_t lines_in(const std::string& name) const {
        const std::string text = content(name);
        return static_cast<std::size_t>(std::ranges::count(text, '\n'));
    }
    [[nodiscard]] nlohmann::json report() const { return nlohmann::json::parse(content("report")); }

    // The farm's processes that still run, whoever their parents are now: pid and name.
    [[nodiscard]] std::string processes() const {
        const std::string mark = "FARM_TEST=" + domain_.path();
        std::string list;
        for (const pid_t pid : all_processes()) {
            std::ifstream file{"/proc/" + std::to_string(pid) + "/environ"};
            std::ostringstream environment;
            environment << file.rdbuf();
            if (environment.str().find(mark) == std::string::npos) continue;
            const ProcessLook look = look_at(pid);
            if (!look.ended) list += std::to_string(pid) + " " + look.name + "\n";
        }
        return list;
    }

    kit::TempDomain domain_;
    kit::LeakCheck leaks_{&domain_};
};

// A sentence on a line, with the command's name in front.
inline void expect_sentence(const kit::Finished& end, int status, const std::string& part) {
    EXPECT_EQ(end.signal, 0);
    EXPECT_EQ(end.status, status) << end.err;
    EXPECT_TRUE(end.err.starts_with("stoa: ")) << end.err;
    EXPECT_NE(end.err.find(part), std::string::npos) << end.err;
    EXPECT_TRUE(end.err.ends_with("\n")) << end.err;
}

}  // namespace stoa
