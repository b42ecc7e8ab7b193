// All subjects of the bench: limits, rivals, and stoa's own.
#pragma once

#include "bench/kit/subject.hpp"

namespace stoa::bench {

[[nodiscard]] Subjects all_subjects();

}  // namespace stoa::bench
