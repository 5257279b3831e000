#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail

# all that an installation consists of
PREFIX=/rw/usrlocal
FORWARDER=$PREFIX/libexec/qubes/qubes-autoattach-forwarder
SENDER=$PREFIX/bin/qubes-autoattach-send
UNIT=$PREFIX/lib/systemd/system/qubes-autoattach-forwarder.service
STARTER=/rw/config/rc.local.d/50-qubes-autoattach.rc
FILES=("$FORWARDER" "$SENDER" "$UNIT" "$STARTER")
SERVICE=qubes-autoattach-forwarder.service

usage() {
    cat <<'END'
Usage: sudo ./usb-qube.sh install PACKAGE
       sudo ./usb-qube.sh remove | status

For a USB qube whose template shall not have the package qubes-autoattach-vm:
install what it holds into the private storage, /rw, of the qube in which this
is run, from PACKAGE, the deb or rpm. It is there at each start of the qube.

Run it in sys-usb if that is an AppVM; if it is a disposable, in the disposable
template that it is made from. In both cases dom0 must say that the forwarder
is to run:  qvm-service sys-usb autoattach on

  install   also over an earlier installation
  remove    leave nothing of it behind
  status    tell what is there
END
}

fail() {
    echo "usb-qube.sh: $1" >&2
    exit 1
}

wrong_usage() {
    echo "usb-qube.sh: $1; see --help" >&2
    exit 64
}

check_qube() {
    local persistence

    ((EUID == 0)) || fail "it has to be run as root, with sudo"
    command -v qubesdb-read >/dev/null || fail "this is no qube of Qubes OS"
    persistence=$(qubesdb-read /qubes-vm-persistence)
    case $persistence in
    rw-only) ;;
    full) fail "all of this qube is kept: install the package itself" ;;
    *)
        fail "a disposable forgets it: run it in the disposable template that \
this one is made from"
        ;;
    esac
    [[ ! -e /run/qubes-service/custom-persist ]] ||
        fail "this qube has custom-persist, which leaves /rw/config out: \
install the package in the template"
}

# extract PACKAGE FOLDER
extract() {
    case $1 in
    *.deb)
        command -v dpkg-deb >/dev/null ||
            fail "a deb cannot be read here, give it the rpm"
        dpkg-deb --fsys-tarfile "$1" | tar -x --no-same-owner -C "$2"
        ;;
    *.rpm)
        command -v rpm2cpio >/dev/null ||
            fail "an rpm cannot be read here, give it the deb"
        rpm2cpio "$1" | (cd "$2" && cpio --extract --quiet \
            --make-directories --no-preserve-owner)
        ;;
    *) wrong_usage "PACKAGE is a file that ends in .deb or .rpm" ;;
    esac
}

install_all() {
    local package=$1 tree unit problem

    [[ -f "$package" ]] || fail "there is no file $package"
    tree=$(mktemp -d)
    # shellcheck disable=SC2064 # now, while it is known
    trap "rm -rf '$tree'" EXIT
    extract "$package" "$tree"

    # Debian 12 has /lib where others have /usr/lib
    unit=$(find "$tree" -name "$SERVICE" -type f)
    [[ -n "$unit" && -x "$tree/usr/libexec/qubes/qubes-autoattach-forwarder" ]] ||
        fail "$package is not the package qubes-autoattach-vm"
    problem=$("$tree/usr/libexec/qubes/qubes-autoattach-forwarder" --version \
        2>&1 >/dev/null) ||
        fail "the forwarder does not run in this qube: $problem"

    install -D -m 0755 "$tree/usr/libexec/qubes/qubes-autoattach-forwarder" \
        "$FORWARDER"
    install -D -m 0755 "$tree/usr/bin/qubes-autoattach-send" "$SENDER"
    sed "s,^ExecStart=/usr/libexec/,ExecStart=/usr/local/libexec/," "$unit" |
        install -D -m 0644 /dev/stdin "$UNIT"
    install -D -m 0755 /dev/stdin "$STARTER" <<'END'
#!/bin/sh
# Made by usb-qube.sh of qubes-autoattach, which also removes it.
# /usr/local is mounted after systemd looked for units there.
systemctl daemon-reload
systemctl --no-block start qubes-autoattach-forwarder.service
END
    if command -v restorecon >/dev/null; then
        restorecon -RF "${FILES[@]}" || :
    fi

    systemctl daemon-reload
    # without the service in this qube this does nothing
    systemctl restart $SERVICE
    show_status
}

remove_all() {
    if [[ -e "$UNIT" ]]; then
        systemctl stop $SERVICE || :
    fi
    rm -f "${FILES[@]}"
    # folders that a qube does not have by itself, where nothing else is in them
    rmdir $PREFIX/libexec/qubes $PREFIX/libexec $PREFIX/lib/systemd/system \
        $PREFIX/lib/systemd /rw/config/rc.local.d 2>/dev/null || :
    systemctl daemon-reload
    echo "Nothing of qubes-autoattach is left in /rw."
}

show_status() {
    local file n=0

    for file in "${FILES[@]}"; do
        if [[ -e "$file" ]]; then
            echo "$file"
            n=$((n + 1))
        fi
    done
    if ((n == 0)); then
        echo "It is not installed in this qube."
    elif ((n < ${#FILES[@]})); then
        echo "Files are missing: install it again."
    elif systemctl is-active --quiet $SERVICE; then
        echo "The forwarder is installed and runs."
    elif [[ -e /run/qubes-service/autoattach ]]; then
        echo "It is installed but does not run: see journalctl -u $SERVICE"
    else
        echo "It is installed. It runs in qubes that have the service, from" \
            "their next start on; in dom0:"
        echo "    qvm-service sys-usb autoattach on"
    fi
}

case ${1-} in
install)
    (($# == 2)) || wrong_usage "install takes one PACKAGE"
    check_qube
    install_all "$2"
    ;;
remove | status)
    (($# == 1)) || wrong_usage "$1 takes nothing more"
    check_qube
    if [[ $1 == remove ]]; then remove_all; else show_status; fi
    ;;
-h | --help)
    usage
    ;;
*)
    wrong_usage "install, remove or status"
    ;;
esac
