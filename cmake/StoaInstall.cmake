# What `cmake --install` gives besides headers, libraries and the command: find_package(stoa) and
# pkg-config stoa. Both find the rest from where they lie, so the folder may be moved.
include(CMakePackageConfigHelpers)

set(package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/stoa")
install(EXPORT stoaTargets NAMESPACE stoa:: DESTINATION "${package_folder}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/stoaConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/generated/stoaConfig.cmake" INSTALL_DESTINATION "${package_folder}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/generated/stoaConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/generated/stoaConfig.cmake"
    "${PROJECT_BINARY_DIR}/generated/stoaConfigVersion.cmake" DESTINATION "${package_folder}")

# For the linker the rooms come highest first.
get_property(rooms GLOBAL PROPERTY STOA_ROOMS)
list(REVERSE rooms)
list(TRANSFORM rooms PREPEND "-lstoa_")
list(JOIN rooms " " STOA_PC_LIBS)
set(STOA_PC_DEFINES "-DSTOA_CRASH_POINTS=$<BOOL:${STOA_CRASH_POINTS}>")
file(RELATIVE_PATH STOA_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" STOA_PC_PREFIX "${STOA_PC_PREFIX}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/stoa.pc.in"
    "${PROJECT_BINARY_DIR}/generated/stoa.pc.in" @ONLY)
file(GENERATE OUTPUT "${PROJECT_BINARY_DIR}/generated/stoa.pc"
    INPUT "${PROJECT_BINARY_DIR}/generated/stoa.pc.in")
install(FILES "${PROJECT_BINARY_DIR}/generated/stoa.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
