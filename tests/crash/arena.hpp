// Memory for a traced process, the same in every run: operator new gives the same addresses along
// the same path, whatever the engine allocated before it forked.
#pragma once

namespace stoa::crash {

// From now on operator new takes from the arena and operator delete does nothing.
void allocate_from_arena() noexcept;

}  // namespace stoa::crash
