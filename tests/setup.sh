# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Sourced by run.sh, fuzz.sh, demo.sh and others: what building and testing need.

# setup_packages [clang]
# Install what is missing; with clang also the compiler and its sanitizers.
# Quick when nothing is missing. Debian and its kin, Fedora and its kin.
setup_packages() {
    local wanted

    if command -v apt-get >/dev/null; then
        wanted=(build-essential cmake ninja-build pkg-config libjansson-dev
            libsystemd-dev libudev-dev libcmocka-dev umockdev libumockdev-dev
            gir1.2-umockdev-1.0 python3 python3-gi)
        [[ "${1-}" == clang ]] && wanted+=(clang libclang-rt-dev)
    elif command -v dnf >/dev/null; then
        wanted=(gcc cmake ninja-build pkgconf-pkg-config jansson-devel
            systemd-devel libcmocka-devel umockdev umockdev-devel python3
            python3-gobject-base)
        [[ "${1-}" == clang ]] && wanted+=(clang compiler-rt)
    else
        echo "setup: neither apt-get nor dnf; see setup.sh for what is needed" >&2
        return 1
    fi
    setup_ensure "${wanted[@]}"
}

# setup_ensure PACKAGE...
# Install those that are missing.
setup_ensure() {
    local missing=() package

    for package in "$@"; do
        setup_has "$package" || missing+=("$package")
    done
    ((${#missing[@]} == 0)) || setup_install "${missing[@]}"
}

setup_has() {
    if command -v apt-get >/dev/null; then
        [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == \
            installed ]]
    else
        rpm -q --whatprovides "$1" >/dev/null 2>&1
    fi
}

setup_install() {
    local as_root=() apt=(apt-get -qq -o Acquire::Retries=3
        -o DPkg::Lock::Timeout=300)

    if ((EUID != 0)); then
        as_root=(sudo -n)
        if ! sudo -n true 2>/dev/null; then
            echo "setup: run as root, or install: $*" >&2
            return 1
        fi
    fi
    echo "setup: installing $*"
    if command -v apt-get >/dev/null; then
        # a mirror may fail once, and a machine that has just come up may be at
        # its own updates
        "${as_root[@]}" "${apt[@]}" update &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                "${apt[@]}" install -y --no-install-recommends "$@" </dev/null
    else
        "${as_root[@]}" dnf install -y -q --setopt=install_weak_deps=False \
            "$@" </dev/null
    fi
}

# setup_as_user FOLDER COMMAND...
# Run as the person who called sudo, if there is one and FOLDER is theirs to
# write, so that what is built there is theirs.
setup_as_user() {
    local folder=$1 home
    shift

    if ((EUID == 0)) && [[ -n "${SUDO_USER-}" && "$SUDO_USER" != root ]] &&
        runuser -u "$SUDO_USER" -- test -w "$folder"; then
        home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
        runuser -u "$SUDO_USER" -- env HOME="$home" USER="$SUDO_USER" \
            LOGNAME="$SUDO_USER" "$@"
    else
        "$@"
    fi
}

# setup_build FOLDER CMAKE-OPTION...
# Configure and build, all or only "${setup_targets[@]}". A folder of another checkout,
# generator or compiler starts anew.
setup_build() {
    local root build=$1
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
    shift

    if [[ -f "$build/CMakeCache.txt" ]] &&
        ! { grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" \
            "$build/CMakeCache.txt" &&
            grep -qx 'CMAKE_GENERATOR:INTERNAL=Ninja' \
                "$build/CMakeCache.txt"; }; then
        rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles"
    fi
    # what an earlier run as root left behind
    if ((EUID == 0)) && [[ -n "${SUDO_USER-}" && -d "$build" ]] &&
        [[ "$(stat -c %U "$build")" != "$SUDO_USER" ]]; then
        setup_as_user "$root" true && chown -R "$SUDO_USER:" "$build"
    fi
    setup_as_user "$root" cmake -S "$root" -B "$build" -G Ninja "$@" &&
        setup_as_user "$root" cmake --build "$build" \
            ${setup_targets:+--target "${setup_targets[@]}"}
}
