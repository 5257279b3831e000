#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
set -uo pipefail

usage() {
    cat <<'END'
Usage: [sudo] tests/analyse.sh [gcc|tidy|cppcheck]...

Read the sources with gcc -fanalyzer, clang-tidy and cppcheck (default: all
three); any finding is shown and is a failure. What is looked for, what is left
out and why is in .clang-tidy and in tests/cppcheck.suppress; what gcc says that
is false, place by place, in tests/analyse.known.
Installs what is missing. Builds in build-analyse/.
END
}

if [[ "${1-}" == --help ]]; then
    usage
    exit 0
fi
for tool in "$@"; do
    if ! [[ "$tool" =~ ^(gcc|tidy|cppcheck)$ ]]; then
        usage >&2
        exit 64
    fi
done
(($# > 0)) || set -- gcc tidy cppcheck

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

build='build-analyse'
setup_packages clang || exit 1
if command -v apt-get >/dev/null; then
    setup_ensure clang-tidy cppcheck || exit 1
else
    setup_ensure clang-tools-extra cppcheck || exit 1
fi
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

# The generated sources have to be there.
if ! setup_build "$build" -DCMAKE_C_COMPILER=gcc -DAUTOATTACH_TESTS=OFF \
    -DAUTOATTACH_FUZZ=OFF -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
    -DCMAKE_C_FLAGS=-fanalyzer >"$log" 2>&1; then
    cat "$log"
    echo "analyse.sh: $build does not build" >&2
    exit 1
fi

# A warning is told when a file is compiled: all of them, each time.
analyse_gcc() {
    local all=$log.all status

    setup_as_user . cmake --build "$build" --clean-first >"$all" 2>&1 &&
        tests/analyse-known.py . "$all" >"$log"
    status=$?
    [[ -s "$log" ]] || cp "$all" "$log"
    rm -f "$all"
    return "$status"
}

analyse_tidy() {
    local folder=$build/tidy

    # without what only gcc knows, or clang 14 wants to be begged for
    setup_as_user . mkdir -p "$folder"
    sed -E 's/ -fanalyzer| -ftrivial-auto-var-init=zero//g' \
        "$build/compile_commands.json" >"$folder/compile_commands.json"
    find common dom0 sysusb -name '*.c' -print0 |
        xargs -0 -P2 -n4 clang-tidy --quiet -p "$folder" \
            --extra-arg=-Wno-unknown-warning-option >"$log" 2>&1
}

analyse_cppcheck() {
    cppcheck --quiet --enable=warning,performance,portability --std=c11 -I . \
        --suppressions-list=tests/cppcheck.suppress --error-exitcode=1 \
        --inline-suppr -D_GNU_SOURCE \
        "-Djson_object_foreach(o,k,v)=while(next(o,&k,&v))" \
        "-Dudev_list_entry_foreach(e,f)=while((e=f))" \
        common dom0 sysusb >"$log" 2>&1
}

n_failed=0
for tool in "$@"; do
    if "analyse_$tool"; then
        echo "$tool: no finding"
    else
        grep -vE '^[0-9]+ warnings? generated' "$log"
        echo "$tool: see above"
        n_failed=$((n_failed + 1))
    fi
done
echo "$(($# - n_failed)) passed, $n_failed failed"
((n_failed == 0))
