#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail

usage() {
    cat <<'END'
Usage: packaging/build.sh rpm|deb|all|source [--out FOLDER] [--only dom0|vm]

Build the packages from this tree, a git clone or an unpacked tarball:

  rpm     qubes-autoattach-dom0 for dom0, qubes-autoattach-vm for Fedora
          templates
  deb     qubes-autoattach-vm for Debian templates
  all     both
  source  the sources as a tarball

With --only, just the package for dom0, or those for templates.
They land in packaging/out/ or FOLDER, with their checksums in SHA256SUMS.
Works on Debian 12 and later, rpm also on Fedora 41 and later. What is missing
to build is installed first, as root or with sudo; the build itself needs
neither root nor network. The same tree gives the same packages, bit by bit.
END
}

wrong_usage() {
    echo "build.sh: $1; see --help" >&2
    exit 64
}

fail() {
    echo "build.sh: $1" >&2
    exit 1
}

what='' out='' packages=(dom0 vm)
while (($# > 0)); do
    case $1 in
    rpm | deb | all | source)
        [[ -z "$what" ]] || wrong_usage "$what and $1"
        what=$1
        ;;
    --out)
        [[ -n "${2-}" ]] || wrong_usage "--out takes a folder"
        out=$(realpath -m -- "$2")
        shift
        ;;
    --only)
        [[ "${2-}" == dom0 || "${2-}" == vm ]] ||
            wrong_usage "--only takes dom0 or vm"
        packages=("$2")
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) wrong_usage "unknown argument $1" ;;
    esac
    shift
done
[[ -n "$what" ]] || wrong_usage "rpm, deb, all or source"
[[ "$what-${packages[*]}" != deb-dom0 ]] || wrong_usage "dom0 takes no deb"

cd "$(dirname "$0")/.."
. tests/setup.sh
out=${out:-$PWD/packaging/out}

# Nothing of the caller's locale, time zone or umask gets into a package.
export LC_ALL=C.UTF-8 TZ=UTC
umask 022

version=$(<version)
changelog=packaging/debian/changelog
[[ "$(sed -n '1s/^qubes-autoattach (\([^)]*\)).*/\1/p' $changelog)" == "$version" ]] ||
    fail "the newest entry of $changelog is not of version $version"
released=$(sed -n 's/^ -- .*>  //p' $changelog | head -n 1)
SOURCE_DATE_EPOCH=$(date -d "$released" +%s)
export SOURCE_DATE_EPOCH

install_missing() {
    local wanted=(cmake gcc make)

    if command -v apt-get >/dev/null; then
        wanted+=(pkg-config libjansson-dev libsystemd-dev libudev-dev)
        [[ "$what" == deb ]] || wanted+=(rpm)
        [[ "$what" == rpm ]] || wanted+=(build-essential debhelper fakeroot)
    else
        [[ "$what" == rpm ]] || fail "a deb is built on Debian"
        wanted+=(rpm-build systemd-rpm-macros jansson-devel systemd-devel)
    fi
    setup_ensure "${wanted[@]}"

    # where the units go, tells a package that Debian 12 does not have yet
    if [[ "$what" != rpm ]]; then
        if dpkg --compare-versions \
            "$(dpkg-query -W -f '${Version}' libsystemd-dev)" ge 253; then
            setup_ensure systemd-dev
        else
            setup_ensure systemd
        fi
    fi
}

# The sources as they are in this tree now, without what is ignored by git.
make_source() {
    local name=qubes-autoattach-$version

    if [[ -e .git ]]; then
        git -c safe.directory="$PWD" ls-files -z --cached --others \
            --exclude-standard
    else
        find . \( -path './build*' -o -path ./packaging/out -o \
            -name __pycache__ \) -prune -o \( -type f -o -type l \) -print0
    fi |
        { while IFS= read -r -d '' file; do
            [[ ! -e "$file" && ! -L "$file" ]] || printf '%s\0' "${file#./}"
        done; } |
        LC_ALL=C sort -z |
        tar --create --no-recursion --null --files-from=- \
            --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
            --numeric-owner --mode=u+rwX,go+rX,go-w --format=gnu \
            --transform="flags=r;s,^,$name/," |
        gzip -9 -n >"$work/$name.tar.gz"
}

# debian/changelog in the form that rpm wants
rpm_changelog() {
    local line text=() by entry_version

    while IFS= read -r line; do
        case $line in
        '  * '*) text+=("- ${line#  \* }") ;;
        '    '*) text+=("  ${line#    }") ;;
        ' -- '*)
            by=${line#' -- '}
            printf '* %s %s - %s-1\n' \
                "$(date -d "${by#*>  }" '+%a %b %d %Y')" "${by%%  *}" \
                "$entry_version"
            printf '%s\n' "${text[@]}" ''
            text=()
            ;;
        'qubes-autoattach ('*)
            entry_version=${line#*\(}
            entry_version=${entry_version%%)*}
            ;;
        esac
    done <$changelog
}

build_rpm() {
    local spec options=() package
    mkdir -p "$work/rpm/SOURCES" "$work/rpm/SPECS"
    cp "$work/qubes-autoattach-$version.tar.gz" "$work/rpm/SOURCES/"
    rpm_changelog >"$work/rpm-changelog"

    # names of packages and most macros are Fedora's
    if command -v apt-get >/dev/null; then
        options+=(--nodeps --load packaging/rpm/debian.macros)
    fi
    for package in "${packages[@]/#/qubes-autoattach-}"; do
        spec=$work/rpm/SPECS/$package.spec
        sed -e "s/@VERSION@/$version/" \
            -e "/@CHANGELOG@/{r $work/rpm-changelog" -e 'd}' \
            "packaging/rpm/$package.spec.in" >"$spec"
        rpmbuild -bb "${options[@]}" \
            --define "_topdir $work/rpm" \
            --define '_buildhost localhost' \
            --define 'use_source_date_epoch_as_buildtime 1' \
            --define 'clamp_mtime_to_source_date_epoch 1' \
            --define 'build_mtime_policy clamp_to_source_date_epoch' \
            "$spec"
    done
    find "$work/rpm/RPMS" -name '*.rpm' ! -name '*-debug*' \
        -exec mv -t "$out" {} +
}

build_deb() {
    local tree=$work/deb/qubes-autoattach-$version
    mkdir "$work/deb"
    tar -xzf "$work/qubes-autoattach-$version.tar.gz" -C "$work/deb"
    # where the tools of Debian look for it
    ln -s packaging/debian "$tree/debian"
    (cd "$tree" &&
        DEB_BUILD_OPTIONS="noautodbgsym nocheck parallel=$(nproc)" \
            dpkg-buildpackage -b -us -uc)
    mv "$work"/deb/*.deb "$out/"
}

[[ "$what" == source ]] || install_missing
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/qubes-autoattach-*.{rpm,deb,tar.gz} "$out/SHA256SUMS"

make_source
case $what in
rpm) build_rpm ;;
deb) build_deb ;;
all)
    build_rpm
    [[ "${packages[*]}" == dom0 ]] || build_deb
    ;;
source) mv "$work/qubes-autoattach-$version.tar.gz" "$out/" ;;
esac

(cd "$out" && sha256sum -- qubes-autoattach* >SHA256SUMS)
echo
echo "In $out:"
cat "$out/SHA256SUMS"
