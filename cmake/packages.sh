# Sourced by ./check and ./quickstart: what they need from Debian, and how it gets installed.
build_packages=(g++ cmake ninja-build libcli11-dev libfmt-dev nlohmann-json3-dev)
check_packages=("${build_packages[@]}" git libgtest-dev libboost-dev python3 pkg-config strace
    libasio-dev libglib2.0-dev binutils clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev)

# need_packages PACKAGE ...: installs those that are missing, as root or through sudo. When that
# cannot be done it says in one line what is missing, and fails.
need_packages() {
    local self missing=() package get=()
    self=$(basename "$0")
    if ! command -v dpkg-query >/dev/null; then
        echo "$self: this is not Debian; install what these packages hold yourself: $*" >&2
        return 0
    fi
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    ((${#missing[@]} == 0)) && return 0
    if ((EUID != 0)); then
        if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
            get=(sudo)
        else
            echo "$self: missing packages, run as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "$self: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local log
    log=$(mktemp)
    if ! { "${get[@]}" apt-get update && "${get[@]}" apt-get install -y \
        --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        echo "$self: could not install ${missing[*]}: $(grep -m1 '^E: ' "$log")" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}
