// A forked process that acts as the survivors and says what is wrong.
//
// Start here: Judge{{act, ...}, watchdog}; next() runs one act and returns its text.
// Threads:    one at a time has a Judge alive.
// Processes:  one child; it stands still between two acts.
// Death:      a judge that crashes or hangs has its end as its text.
// Blocking:   next() waits for the act, until the watchdog.
// Lifetime:   the destructor kills and reaps.
// Units:      milliseconds.
// Source:     waitpid(2) with WUNTRACED.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace stoa::crash {

using Act = std::function<std::string()>;

class Judge {
public:
    Judge(std::vector<Act> acts, std::chrono::milliseconds watchdog);
    Judge(const Judge&) = delete;
    Judge& operator=(const Judge&) = delete;
    ~Judge();

    // Runs the next act. Empty: it found nothing wrong.
    [[nodiscard]] std::string next();

private:
    [[noreturn]] void run_acts() const;

    std::vector<Act> acts_;
    std::chrono::milliseconds watchdog_;
    std::size_t done_ = 0;
    pid_t pid_ = -1;
};

}  // namespace stoa::crash
