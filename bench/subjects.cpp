#include "bench/subjects.hpp"

#include "bench/limits/limits.hpp"
#include "bench/rivals/rivals.hpp"
#include "bench/stoa/stoa_subjects.hpp"

namespace stoa::bench {

Subjects all_subjects() {
    Subjects subjects;
    add_limits(subjects);
    add_kernel_rivals(subjects);
    add_lock_rivals(subjects);
    add_packaged_rivals(subjects);
    add_condition_rivals(subjects);
    add_stoa(subjects);
    add_stoa_conditions(subjects);
    add_stoa_locks(subjects);
    add_stoa_waiting(subjects);
    add_stoa_links(subjects);
    return subjects;
}

}  // namespace stoa::bench
