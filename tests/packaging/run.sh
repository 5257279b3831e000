#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail

usage() {
    cat <<'END'
Usage: sudo tests/packaging/run.sh [-k PATTERN]

Build the packages, twice, and install them into systems of their own, made of
packages that this machine has. Some of these systems are booted, with their own
first process. On Debian 12 and 13, as root; installs what is missing. The last
line says how many tests passed and failed; so does the exit status.

  -k PATTERN  only tests whose name has it, as test_install or upgrade
END
}

case ${1-} in
'' | -k) ;;
--help)
    usage
    exit 0
    ;;
*)
    echo "run.sh: unknown argument $1; see --help" >&2
    exit 64
    ;;
esac

cd "$(dirname "$0")/../.."
. tests/setup.sh

fail() {
    echo "tests/packaging: $1" >&2
    echo "0 passed, 1 failed"
    exit 1
}

((EUID == 0)) || fail "it has to be run as root: systems are installed"
command -v apt-get >/dev/null || fail "it is for Debian"
setup_ensure build-essential cmake cpio debhelper dnf fakeroot gnupg \
    libjansson-dev libsystemd-dev libudev-dev lintian mandoc mount \
    pkg-config procps python3 python3-jinja2 python3-yaml rpm rpmlint \
    shellcheck systemd util-linux || fail "packages are missing"

AUTOATTACH_PACKAGING_WORK=$(mktemp -d)
export AUTOATTACH_PACKAGING_WORK
trap 'rm -rf "$AUTOATTACH_PACKAGING_WORK"' EXIT
/usr/bin/python3 -B tests/packaging/main.py "$@"
