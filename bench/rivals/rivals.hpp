// What people use today: the kernel's own means, and packaged libraries where they were found.
#pragma once

#include "bench/kit/subject.hpp"

namespace stoa::bench {

void add_kernel_rivals(Subjects& subjects);
void add_condition_rivals(Subjects& subjects);
void add_lock_rivals(Subjects& subjects);

// Each packaged one is a file that is compiled when its package is there; one that is not is named
// in Subjects::left_out.
void add_packaged_rivals(Subjects& subjects);

}  // namespace stoa::bench
