// Made for its header alone: CMakeLists.txt.
