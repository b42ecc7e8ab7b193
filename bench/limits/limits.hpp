// What is possible on this machine without safety, names or bookkeeping: one small program each.
#pragma once

#include "bench/kit/subject.hpp"

namespace stoa::bench {

void add_ring_limits(Subjects& subjects);    // rings: in place, with back-off, lazy, batches, futex
void add_line_limit(Subjects& subjects);     // one cache line there and back
void add_queue_limits(Subjects& subjects);   // two senders and two receivers
void add_log_limit(Subjects& subjects);      // one sender, three receivers of everything
void add_file_limit(Subjects& subjects);     // many files with names
void add_seqlock_limit(Subjects& subjects);  // the newest value of one writer
void add_attach_limit(Subjects& subjects);   // a mapping, attached and detached
void add_arena_limit(Subjects& subjects);    // many small channels in one memory
void add_epoll_limit(Subjects& subjects);    // an eventfd in an epoll

inline void add_limits(Subjects& subjects) {
    add_line_limit(subjects);
    add_ring_limits(subjects);
    add_queue_limits(subjects);
    add_log_limit(subjects);
    add_file_limit(subjects);
    add_seqlock_limit(subjects);
    add_arena_limit(subjects);
    add_attach_limit(subjects);
    add_epoll_limit(subjects);
}

}  // namespace stoa::bench
