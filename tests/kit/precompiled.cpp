// The program of which precompiled.hpp is a part: CMake precompiles headers for one only.
#include "tests/kit/precompiled.hpp"
