# One target per room: stoa_room(ring SOURCES a.cpp HEADERS a.hpp USES base) makes the library
# stoa_ring (alias stoa::ring), whose links are exactly the rooms below it that it may include.
find_package(Threads REQUIRED)
include(GNUInstallDirs)

set(STOA_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
    -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Wswitch -Wimplicit-fallthrough
    # g++ 12 -O2 and up: wrong about operator+ of std::string (GCC bug 105651)
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)

function(stoa_compile_options target)
    target_compile_features(${target} PUBLIC cxx_std_23)
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
    target_compile_options(${target} PRIVATE ${STOA_WARNINGS})
    if(STOA_WARNINGS_AS_ERRORS)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
    if(STOA_SANITIZE)
        target_compile_options(${target} PUBLIC -fsanitize=${STOA_SANITIZE}
            -fno-omit-frame-pointer -fno-sanitize-recover=all)
        target_link_options(${target} PUBLIC -fsanitize=${STOA_SANITIZE})
    endif()
endfunction()

function(stoa_room name)
    cmake_parse_arguments(room "" "" "SOURCES;HEADERS;USES" ${ARGN})
    set(target stoa_${name})
    add_library(${target} STATIC ${room_SOURCES})
    add_library(stoa::${name} ALIAS ${target})
    stoa_compile_options(${target})
    target_sources(${target} PUBLIC FILE_SET HEADERS
        BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${room_HEADERS})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ON)
    foreach(below IN LISTS room_USES)
        target_link_libraries(${target} PUBLIC stoa_${below})
    endforeach()
    set_property(GLOBAL APPEND PROPERTY STOA_ROOMS ${name})
    install(TARGETS ${target} EXPORT stoaTargets FILE_SET HEADERS)
endfunction()

# stoa_test(name SOURCES x_test.cpp USES stoa_ring stoa_kit [ARGS ...] [TIMEOUT s] [LABELS l ...])
# makes and registers one test program; GoogleTest gives main(). With STOA_FULL it may run for
# hours.
function(stoa_test name)
    cmake_parse_arguments(test "" "TIMEOUT" "SOURCES;USES;ARGS;LABELS" ${ARGN})
    if(NOT STOA_BUILD_TESTS)
        return()
    endif()
    if(STOA_FULL)
        set(test_TIMEOUT 36000)
    elseif(NOT test_TIMEOUT)
        set(test_TIMEOUT 120)
    endif()
    add_executable(${name} ${test_SOURCES})
    stoa_compile_options(${name})
    target_link_libraries(${name} PRIVATE ${test_USES} GTest::gtest GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name} ${test_ARGS})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${test_TIMEOUT} LABELS "${test_LABELS}")
endfunction()
