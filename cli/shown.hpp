// Text that others chose (names, types, messages) as a terminal may show it: nothing in it moves
// the cursor, changes colours or direction, or looks like the end of a line.
//
// Start here: shown().
// Threads:    any.
// Processes:  none.
// Death:      not applicable.
// Blocking:   never.
// Lifetime:   values.
// Units:      bytes of UTF-8.
// Source:     RFC 3629 (UTF-8); ECMA-48 (controls of 7 and 8 bits); UAX 9 (direction).
#pragma once

#include <string>
#include <string_view>

namespace stoa::cli {

// Controls, what is no UTF-8, and marks of line, paragraph and direction become \n, \t, \x1b or
// \u202e; a backslash becomes two, so that it can be told which it was.
[[nodiscard]] std::string shown(std::string_view text);

}  // namespace stoa::cli
