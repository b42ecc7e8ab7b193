#include "tests/model/pool_steps.hpp"

#include "stoa/base/check.hpp"

// Every line of the algorithm, with its name in traces.
#define STOA_POOL_STEPS(X)                                                                        \
    X(attach_clear_sweeping)                                                                      \
    X(attach_publish)                                                                             \
    X(loan_header)                                                                                \
    X(send_read_tail)                                                                             \
    X(send_read_slot)                                                                             \
    X(send_publish)                                                                               \
    X(send_pass_tail) X(send_advance_tail) X(help_read_header) X(help_reread_slot) X(help_adopt)  \
        X(help_empty_slot) X(receive_scan_slot) X(receive_claim_slot) X(receive_scan_header)      \
            X(receive_claim_header) X(receive_lower_flag) X(receive_read_head)                    \
                X(receive_read_slot) X(receive_take) X(receive_pass_head) X(adopt_read_header)    \
                    X(adopt_reread_slot) X(adopt_header) X(empty_slot) X(receive_advance_head)    \
                        X(bury_read_header) X(bury_reread_slot) X(bury_header) X(bury_empty_slot) \
                            X(drain_scan_slot) X(drain_free_header) X(give_hint) X(nack_raise)    \
                                X(sweep_announce) X(sweep_recheck) X(sweep_raise_first)           \
                                    X(sweep_read_slot) X(sweep_redeliver_slot)                    \
                                        X(sweep_list_header) X(sweep_hint_passed)                 \
                                            X(sweep_scan_slot) X(sweep_settle_header)             \
                                                X(sweep_give_hint) X(sweep_raise)                 \
                                                    X(sweep_give_index_back) X(sweep_clear_word)

namespace stoa::model {

const char* PoolStep::run() {
    switch (my_.pc) {
        case Pc::idle: STOA_CHECK(my_.pc != Pc::idle); break;
#define STOA_POOL_STEP(name) \
    case Pc::name: name(); break;
            STOA_POOL_STEPS(STOA_POOL_STEP)
#undef STOA_POOL_STEP
    }
    return fault_;
}

const char* name_of(Pc pc) {
    switch (pc) {
        case Pc::idle: return "idle";
#define STOA_POOL_STEP(name) \
    case Pc::name: return #name;
            STOA_POOL_STEPS(STOA_POOL_STEP)
#undef STOA_POOL_STEP
    }
    return "?";
}

}  // namespace stoa::model
