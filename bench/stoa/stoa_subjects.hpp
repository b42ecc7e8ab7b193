// stoa itself, through its public interface, crash safety on.
#pragma once

#include "bench/kit/subject.hpp"

namespace stoa::bench {

void add_stoa(Subjects& subjects);

}  // namespace stoa::bench
