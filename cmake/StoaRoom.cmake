# One target per room: stoa_room(ring SOURCES a.cpp HEADERS a.hpp USES base) makes the library
# stoa_ring (alias stoa::ring), whose links are exactly the rooms below it that it may include.
find_package(Threads REQUIRED)
include(GNUInstallDirs)

set(STOA_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
    -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Wswitch -Wimplicit-fallthrough
    # g++ 12 -O2 and up: wrong about operator+ of std::string (GCC bug 105651)
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)

# tests/kit has an operator new: clang's static ThreadSanitizer bears none but its own.
if(STOA_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-resource-dir
        OUTPUT_VARIABLE clang OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    set(STOA_SANITIZE_LINKS -shared-libsan "-Wl,-rpath,${clang}/lib/linux")
endif()

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
        target_link_options(${target} PUBLIC ${STOA_SANITIZE_LINKS})
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

# What is around the rooms is compiled without optimisation in debug trees, which is quicker by a
# third; the rooms are compiled as always.
function(stoa_compile_quickly target)
    stoa_compile_options(${target})
    target_compile_options(${target} PRIVATE $<$<CONFIG:Debug>:-O0>)
endfunction()

# How a test is compiled. tests/kit/precompiled.hpp is precompiled once per tree; who compiles with
# options of its own sets DISABLE_PRECOMPILE_HEADERS.
function(stoa_test_options target)
    stoa_compile_quickly(${target})
    target_link_libraries(${target} PRIVATE GTest::gtest)
    if(target STREQUAL stoa_precompiled)
        return()
    endif()
    if(NOT TARGET stoa_precompiled)
        add_library(stoa_precompiled OBJECT "${PROJECT_SOURCE_DIR}/tests/kit/precompiled.cpp")
        stoa_test_options(stoa_precompiled)
        target_precompile_headers(stoa_precompiled PRIVATE
            "${PROJECT_SOURCE_DIR}/tests/kit/precompiled.hpp")
        target_include_directories(stoa_precompiled PRIVATE "${PROJECT_SOURCE_DIR}")
        # As programs are, else it would not fit them.
        set_target_properties(stoa_precompiled PROPERTIES POSITION_INDEPENDENT_CODE OFF)
        target_compile_options(stoa_precompiled PRIVATE -fPIE)
    endif()
    target_precompile_headers(${target} REUSE_FROM stoa_precompiled)
endfunction()

# stoa_test(name SOURCES x_test.cpp USES stoa_ring stoa_kit [ARGS ...] [TIMEOUT s] [LABELS l ...])
# makes and registers one test program; GoogleTest gives main(). With STOA_FULL it may run for
# hours. A program that starts threads gets the label `threads` as well: ThreadSanitizer, which sees
# no other process, runs those alone.
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
    foreach(source IN LISTS test_SOURCES)
        file(STRINGS ${source} threads REGEX "std::j?thread|pthread_create|std::async")
        if(threads AND NOT "threads" IN_LIST test_LABELS)
            list(APPEND test_LABELS threads)
        endif()
    endforeach()
    add_executable(${name} ${test_SOURCES})
    stoa_test_options(${name})
    target_link_libraries(${name} PRIVATE ${test_USES} GTest::gtest_main)
    add_test(NAME ${name} COMMAND ${name} ${test_ARGS})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${test_TIMEOUT} LABELS "${test_LABELS}")
endfunction()
