#!/bin/sh
# Make a checkout ready: Debian packages (when root), .venv with pinned packages, the build.
#
#   scripts/setup.sh [Debian packages wanted ...]
#
# Does nothing that is done already, so it costs a second when run again.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
die() { say "vswitch: $1"; say "hint: $2"; exit 1; }

missing() {
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s ' "$package"
    done
}

find_python() {
    for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
            { printf '%s' "$python"; return; }
    done
    die "Python 3.11 or newer was not found" "install python3, or name it: make PYTHON=/path/to/python3"
}

install_packages() {
    python=$(find_python)
    wanted="$*"
    command -v "${CC:-cc}" >/dev/null || wanted="$wanted gcc libc6-dev"
    # Debian ships Python's headers and its venv module apart from Python.
    "$python" -c 'import sysconfig, os, sys
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || wanted="$wanted python3-dev"
    "$python" -c 'import ensurepip' 2>/dev/null || wanted="$wanted python3-venv"
    # shellcheck disable=SC2086
    lacking=$(missing $wanted)
    [ -n "$lacking" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "vswitch: these Debian packages are missing: $lacking"
        say "hint: as root: apt-get install $lacking"
        command -v "${CC:-cc}" >/dev/null || exit 1
        return 0
    fi
    say "installing Debian packages: $lacking"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends $lacking; } \
        >build/apt.log 2>&1 || { tail -n 5 build/apt.log >&2; die "apt-get failed" "see build/apt.log"; }
}

make_venv() {
    stamp=.venv/requirements.installed
    cmp -s requirements.txt "$stamp" && return 0
    say "making .venv"
    [ -x .venv/bin/python ] || "$(find_python)" -m venv .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.txt >build/pip.log 2>&1 ||
        { tail -n 5 build/pip.log >&2; die "pip failed" "see build/pip.log; is a package index reachable?"; }
    cp requirements.txt "$stamp"
}

build() {
    profile="${VSWITCH_BUILD:-release} ${VSWITCH_CFLAGS:-}"
    force=
    [ "$profile" = "$(cat build/profile 2>/dev/null)" ] || { force=--force; say "building ($profile)"; }
    .venv/bin/python setup.py -q build_ext --inplace $force >build/build.log 2>&1 ||
        { tail -n 20 build/build.log >&2; die "the build failed" "see build/build.log"; }
    printf '%s' "$profile" >build/profile
    # As pip does with what it installs: a command that may not write beside its sources, or is told
    # not to (PYTHONDONTWRITEBYTECODE), translates all of them each time, which takes 0.1 s.
    .venv/bin/python -m compileall -q vswitch >build/build.log 2>&1 ||
        { tail -n 20 build/build.log >&2; die "a module is no Python" "see build/build.log"; }
    # The package itself: an entry in the environment that points here, and the vswitch command.
    [ -x .venv/bin/vswitch ] || .venv/bin/python -m pip install -q --disable-pip-version-check \
        --no-build-isolation --no-deps --config-settings editable_mode=compat -e . >build/pip.log 2>&1 ||
        { tail -n 5 build/pip.log >&2; die "installing the checkout failed" "see build/pip.log"; }
}

mkdir -p build
install_packages "$@"
make_venv
build
