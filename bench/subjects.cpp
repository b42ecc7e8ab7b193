#include "bench/subjects.hpp"

#include "bench/limits/limits.hpp"
#include "bench/rivals/rivals.hpp"
#include "bench/stoa/stoa_subjects.hpp"

namespace stoa::bench {

Subjects all_subjects() {
    Subjects subjects;
    add_limits(subjects);
    add_kernel_rivals(subjects);
    add_packaged_rivals(subjects);
    add_stoa(subjects);
    return subjects;
}

}  // namespace stoa::bench
