#!/usr/bin/env bash
# Installs a build, moves the folder, and uses it as strangers do: find_package, pkg-config, the
# command. usage: run.sh BUILD SOURCE CXX
set -euo pipefail
build=$1 source=$2 cxx=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# try WHAT COMMAND ...: one test case, with what it printed when it fails
try() {
    local what=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok     $what"
        passed=$((passed + 1))
    else
        echo "FAILED $what"
        cat "$work/log"
        failed=$((failed + 1))
    fi
}

try "cmake --install" cmake --install "$build" --prefix "$work/first"
mv "$work/first" "$work/prefix"
try "a consumer configures with find_package(stoa)" cmake -G Ninja -S "$source/consumer" \
    -B "$work/build" -DCMAKE_CXX_COMPILER="$cxx" -DCMAKE_PREFIX_PATH="$work/prefix"
try "it builds" cmake --build "$work/build"
try "it runs" "$work/build/consumer"
if [[ -e $work/build/asio_consumer ]]; then
    try "one with Asio runs" "$work/build/asio_consumer"
fi
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name stoa.pc)")
export PKG_CONFIG_PATH
try "pkg-config knows the version" pkg-config --exact-version=0.1.0 stoa
# shellcheck disable=SC2046
try "a consumer builds with pkg-config" "$cxx" -std=c++23 "$source/consumer/main.cpp" \
    $(pkg-config --cflags --libs stoa) -o "$work/consumer"
try "it runs" "$work/consumer"
if [[ -e $build/cli/stoa ]]; then
    export STOA_DOMAIN=$work/domain
    try "the installed command creates a mailbox" "$work/prefix/bin/stoa" mailbox create x
    try "it sends" "$work/prefix/bin/stoa" send x hello
    try "it receives" bash -c '[[ $("$0" recv x --no-wait) == hello ]]' "$work/prefix/bin/stoa"
fi
try "nothing but headers, libraries and the command is installed" bash -c \
    '! find "$0" -type f | grep -vE "$1"' "$work/prefix" \
    '/include/stoa/.*\.hpp$|/libstoa_[a-z]+\.a$|/bin/stoa$|\.cmake$|\.pc$'
echo "$passed passed, $failed failed"
((failed == 0))
