// stoa itself, through its public interface, crash safety on.
#pragma once

#include "bench/kit/subject.hpp"

namespace stoa::bench {

void add_stoa(Subjects& subjects);
void add_stoa_policies(Subjects& subjects);  // pool rings; those that wait for an answer
[[nodiscard]] Subject stoa_any_to_and_fro();
[[nodiscard]] Subject stoa_crowd();  // many named mailboxes

}  // namespace stoa::bench
