// What all tests of the command share: a domain of its own, and the command run in it. When the
// test is root, the command and the domain belong to nobody.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "stoa/base/check.hpp"
#include "tests/kit/command.hpp"
#include "tests/kit/leaks.hpp"
#include "tests/kit/namespaces.hpp"
#include "tests/kit/temp.hpp"
#include "tests/kit/wait_until.hpp"

namespace stoa {

using kit::Finished;
using Words = std::vector<std::string>;

class StoaTest : public testing::Test {
protected:
    StoaTest() {
        if (is_root()) {
            STOA_CHECK(::chown(domain_.path().c_str(), kit::kNobody, kit::kNobody) == 0);
        }
    }
    void TearDown() override {
        domain_.clear();
        EXPECT_EQ(leaks_.leaks(), "");
    }

    static bool is_root() { return ::geteuid() == 0; }
    static Words line(Words words) {
        words.insert(words.begin(), kit::reachable(STOA_COMMAND));
        return words;
    }
    static kit::CommandSetup as_user(kit::CommandSetup setup) {
        setup.in_child = [scene = std::move(setup.in_child)] {
            kit::become_nobody();
            if (scene) scene();
        };
        return setup;
    }
    static Finished stoa(Words words, kit::CommandSetup setup = {}) {
        return kit::run(line(std::move(words)), as_user(std::move(setup)));
    }
    // Like stoa(), asserting that it was done and said nothing but its output.
    static std::string done(Words words, kit::CommandSetup setup = {}) {
        const Finished end = stoa(std::move(words), std::move(setup));
        EXPECT_EQ(end.status, 0) << end.err;
        EXPECT_EQ(end.err, "");
        return end.out;
    }
    static kit::Command start(Words words, kit::CommandSetup setup = {}) {
        return kit::Command{line(std::move(words)), as_user(std::move(setup))};
    }
    static nlohmann::json info(const std::string& name) {
        return nlohmann::json::parse(done({"mailbox", "info", name, "--json"}));
    }
    // Waits until so many have the mailbox open.
    static void await_participants(const std::string& name, std::size_t count) {
        EXPECT_TRUE(kit::wait_until([&] { return info(name)["participants"].size() == count; }));
    }
    // Runs a script with $STOA, as the command runs: for pipes and descriptors of a shell.
    static Finished shell(const std::string& script, kit::CommandSetup setup = {}) {
        ::setenv("STOA", kit::reachable(STOA_COMMAND).c_str(), 1);
        return kit::run({"/bin/bash", "-c", script}, as_user(std::move(setup)));
    }
    [[nodiscard]] std::string file_of(const std::string& name) const {
        return domain_.path() + "/" + name + ".mailbox";
    }

    kit::TempDomain domain_;
    kit::LeakCheck leaks_{&domain_};
};

// The errors have a sentence on one line, with the command's name in front.
inline void expect_sentence(const Finished& end, int status, const std::string& part) {
    EXPECT_EQ(end.signal, 0);
    EXPECT_EQ(end.status, status) << end.err;
    EXPECT_TRUE(end.err.starts_with("stoa: ")) << end.err;
    EXPECT_NE(end.err.find(part), std::string::npos) << end.err;
    EXPECT_TRUE(end.err.ends_with("\n")) << end.err;
}

}  // namespace stoa
