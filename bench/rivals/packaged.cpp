#include "bench/rivals/packaged.hpp"

#include "bench/rivals/rivals.hpp"

namespace stoa::bench {

namespace {

[[maybe_unused]] void leave_out(Subjects& subjects, const char* name, const char* package) {
    subjects.left_out.push_back(
        {name, std::string{package} + " was not found when this was built; bench/install-rivals "
                                      "installs it, then build again"});
}

}  // namespace

void add_packaged_rivals(Subjects& subjects) {
#ifdef STOA_RIVAL_BOOST
    add_boost_spsc(subjects);
    add_boost_mq(subjects);
    add_boost_segment(subjects);
#else
    leave_out(subjects, "boost_spsc", "libboost-dev");
    leave_out(subjects, "boost_mq", "libboost-dev");
    leave_out(subjects, "boost_segment", "libboost-dev");
#endif
#ifdef STOA_RIVAL_ATOMIC_QUEUE
    add_atomic_queue(subjects);
#else
    leave_out(subjects, "atomic_queue", "libatomic-queue-dev");
#endif
#ifdef STOA_RIVAL_ZEROMQ
    add_zeromq(subjects);
#else
    leave_out(subjects, "zeromq", "libzmq3-dev");
#endif
#ifdef STOA_RIVAL_NNG
    add_nng(subjects);
#else
    leave_out(subjects, "nng", "libnng-dev");
#endif
#ifdef STOA_RIVAL_ICEORYX
    add_iceoryx(subjects);
#else
    leave_out(subjects, "iceoryx", "libiceoryx-posh-dev");
#endif
}

}  // namespace stoa::bench
