// stoa itself, through its public interface, crash safety on.
#pragma once

#include "bench/kit/subject.hpp"

namespace stoa::bench {

void add_stoa(Subjects& subjects);
void add_stoa_policies(Subjects& subjects);  // pool rings; those that wait for an answer
void add_stoa_latest(Subjects& subjects);    // the newest value
[[nodiscard]] Subject stoa_any_to_and_fro();
[[nodiscard]] Subject stoa_heap();
[[nodiscard]] Subject stoa_attach();
void add_stoa_conditions(Subjects& subjects);
void add_stoa_locks(Subjects& subjects);
void add_stoa_waiting(Subjects& subjects);  // sets, other loops, coroutines
void add_stoa_links(Subjects& subjects);    // two named processes; calls
[[nodiscard]] Subject stoa_crowd();         // many named mailboxes
[[nodiscard]] Subject stoa_buffers();       // many buffers in one region

}  // namespace stoa::bench
