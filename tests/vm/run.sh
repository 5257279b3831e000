#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail

usage() {
    cat <<'END'
Usage: sudo tests/vm/run.sh [-k PATTERN... | --record]

Boot a machine of our own in QEMU, with a real kernel, udev and systemd and the
built packages, and plug USB devices into it. On Debian 12 and 13, as root;
installs what is missing, and a Debian for the machine from Debian's packages. What
is made is kept in build-vm/ for the next time: the first run takes about four
minutes on two idle cores, later ones about three. The last line says how many
tests passed and failed; so does the exit status.

  -k PATTERN  only tests whose name has it, as test_plug or hub
  --record    make the recordings of tests/integration/devices anew

AUTOATTACH_VM_ACCEL   kvm: with KVM, if it is found to work within 20 s (tcg)
AUTOATTACH_VM_MIRROR  whence Debian is taken (what mmdebstrap takes)
AUTOATTACH_VM_CACHE   where it is kept (build-vm)
AUTOATTACH_VM_SUITES  the first of these that can be installed is booted
                      (trixie bookworm)
END
}

case ${1-} in
'' | -k) ;;
--record)
    export AUTOATTACH_VM_RECORD=1
    set -- -k test_recordings
    ;;
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
    echo "tests/vm: $1" >&2
    echo "0 passed, 1 failed"
    exit 1
}

((EUID == 0)) || fail "it has to be run as root: systems are installed"
command -v apt-get >/dev/null || fail "it is for Debian"
setup_ensure build-essential ccache cmake cpio debhelper dosfstools e2fsprogs \
    fakeroot fdisk libjansson-dev libsystemd-dev libudev-dev mmdebstrap \
    pkg-config python3 qemu-system-x86 rpm util-linux xz-utils ||
    fail "packages are missing"

# tests/packaging lends its tools, which want a folder
AUTOATTACH_PACKAGING_WORK=$(mktemp -d)
export AUTOATTACH_PACKAGING_WORK
trap 'rm -rf "$AUTOATTACH_PACKAGING_WORK"' EXIT
/usr/bin/python3 -B tests/vm/image.py || fail "there is nothing to boot"
# the two machines side by side
/usr/bin/python3 -B tests/packaging/main.py --folder tests/vm \
    --apart test_under_systemd "$@"
