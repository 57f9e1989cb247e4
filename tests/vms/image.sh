#!/bin/sh
# Make what the tests' virtual machines boot: build/vm/vmlinuz and build/vm/initrd.gz, of Debian's
# cloud kernel and its static busybox, with init and lease from this folder; and the same with a
# bridge, this machine's ip(8) and bridge(8), and wires: build/vm/bridge.gz.
#
#   tests/vms/image.sh
#
# Installs nothing and needs no root. The packages are downloaded once, and are kept in build/vm;
# when nothing has changed, nothing is done.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
vm=$PWD/build/vm
kernel_package=linux-image-cloud-amd64

say() { printf '%s\n' "$*" >&2; }
die() { say "vswitch: $1"; say "hint: $2"; exit 1; }

is_made() {
    [ -e "$vm/bridge.gz" ] || return 1
    [ -z "$(find "$here/init" "$here/lease" "$here/image.sh" "$here/wires.c" -newer "$vm/bridge.gz")" ]
}

# The package of the newest kernel, which the meta package depends on.
kernel_name() {
    apt-cache depends "$kernel_package" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1
}

# Download into a folder that takes its name when it is complete.
download() {
    rm -rf "$vm/packages.new"
    mkdir -p "$vm/packages.new"
    name=$(kernel_name)
    [ -n "$name" ] || return 1
    # The sandbox user of apt, if we are root, could not write here.
    (cd "$vm/packages.new" && apt-get -qq -o APT::Sandbox::User=root download "$name" busybox-static) \
        >>"$vm/apt.log" 2>&1 || return 1
    mv "$vm/packages.new" "$vm/packages"
}

# The lists of packages may be missing, or older than the mirror; only root can renew them.
fetch_packages() {
    [ -d "$vm/packages" ] && return 0
    command -v apt-get >/dev/null ||
        die "the virtual machines are made of Debian packages, and there is no apt-get" "use Debian"
    say "downloading a kernel for the virtual machines of the tests"
    : >"$vm/apt.log"
    download && return 0
    [ "$(id -u)" = 0 ] && apt-get -qq update >>"$vm/apt.log" 2>&1 && download && return 0
    die "$kernel_package and busybox-static could not be downloaded" \
        "is a Debian mirror reachable? as root: apt-get update; see build/vm/apt.log"
}

unpack() {
    rm -rf "$vm/unpacked" "$vm/root"
    for package in "$vm"/packages/*.deb; do
        dpkg-deb -x "$package" "$vm/unpacked"
    done
    busybox=$vm/unpacked/bin/busybox
    release=$(ls "$vm/unpacked/lib/modules")
    # Debian makes this list when it installs a kernel.
    "$busybox" depmod -b "$vm/unpacked" "$release"
}

# The modules named, and those that they need.
copy_modules() {
    modules=lib/modules/$release
    for module in "$@"; do
        sed -n "s|^\([^:]*/$module\.ko[^:]*\):|\1|p" "$vm/unpacked/$modules/modules.dep"
    done | tr ' ' '\n' | sort -u | while read -r file; do
        mkdir -p "$vm/root/$modules/$(dirname "$file")"
        cp "$vm/unpacked/$modules/$file" "$vm/root/$modules/$file"
    done
    "$busybox" depmod -b "$vm/root" "$release"
}

fill_root() {
    root=$vm/root
    mkdir -p "$root/bin" "$root/dev" "$root/etc/udhcpc" "$root/proc" "$root/srv" "$root/sys" "$root/tmp"
    cp "$busybox" "$root/bin/busybox"
    cp "$here/init" "$root/init"
    cp "$here/lease" "$root/etc/udhcpc/default.script"
    chmod 755 "$root/init" "$root/etc/udhcpc/default.script"
    copy_modules virtio_pci virtio_net
    cp "$vm"/unpacked/boot/vmlinuz-* "$vm/vmlinuz"
}

# A program of this machine as /sbin/NAME, and the libraries that it needs.
copy_program() {
    file=$(PATH=$PATH:/usr/sbin:/sbin command -v "$1") ||
        die "the virtual machine with a bridge needs $1, which is not here" "install iproute2"
    mkdir -p "$root/sbin"
    cp -L "$file" "$root/sbin/$1"
    for library in $(ldd "$file" | grep -o '/[^ ]*'); do
        mkdir -p "$root/$(dirname "$library")"
        cp -L "$library" "$root/$library"
    done
}

add_bridge() {
    copy_modules bridge tun virtio_console
    copy_program ip
    copy_program bridge
    "${CC:-cc}" -static -Os -s -Wall -Wextra -Werror -o "$root/bin/wires" "$here/wires.c"
}

pack() {
    (cd "$root" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) | gzip -1 >"$vm/initrd.new"
    mv "$vm/initrd.new" "$vm/$1"
}

is_made && exit 0
[ "$(uname -m)" = x86_64 ] || die "the virtual machines of the tests are x86_64, this is $(uname -m)" "use that"
mkdir -p "$vm"
fetch_packages
unpack
fill_root
pack initrd.gz
add_bridge
pack bridge.gz
rm -rf "$vm/unpacked" "$root"
