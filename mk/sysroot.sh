#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: mk/sysroot.sh ARCH FOLDER
#
# Puts musl's headers and libraries, the kernel's user-space headers and libgcc.a for ARCH (x86_64 or
# aarch64) into FOLDER, from Debian's own packages. They are unpacked, never installed: apt runs with
# a state of its own, so that the machine learns of no foreign architecture and keeps its package lists.
set -eu

arch=$1
folder=$2
case $arch in
x86_64) debian_arch=amd64 ;;
aarch64) debian_arch=arm64 ;;
*) echo "sysroot: unknown architecture '$arch' (x86_64 or aarch64)" >&2; exit 64 ;;
esac

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
state=$folder/apt
unpacked=$folder/unpacked
rm -rf "$unpacked"
mkdir -p "$state/lists/partial" "$state/archives/partial" "$unpacked" "$folder/include" "$folder/lib"
: >"$state/status"

# The machine's own Debian mirrors, so that a proxy or a local mirror is respected.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
options="arch=$debian_arch"
if [ -f $keyring ]; then options="$options signed-by=$keyring"; fi
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    awk -v codename="$codename" -v options="$options" \
        '$2 ~ "^" codename && $3 == "main" { print "deb [" options "] " $1 " " $2 " main" }' |
    sort -u >"$state/sources.list"
if [ ! -s "$state/sources.list" ]; then
    echo "sysroot: apt knows no Debian $codename mirror; add one to /etc/apt/sources.list and run apt-get update" >&2
    exit 1
fi

apt_options=(
    -o "APT::Architecture=$debian_arch" -o "APT::Architectures=$debian_arch"
    -o "Dir::State=$state" -o "Dir::State::lists=$state/lists" -o "Dir::State::status=$state/status"
    -o "Dir::Cache=$state" -o "Dir::Cache::archives=$state/archives"
    -o "Dir::Etc::sourcelist=$state/sources.list" -o "Dir::Etc::sourceparts=/dev/null"
    -o "APT::Sandbox::User=root" -o "Acquire::Languages=none" -o "Acquire::Retries=3"
    -o "DPkg::Lock::Timeout=120"
)

log=$state/log
if ! apt-get "${apt_options[@]}" update >"$log" 2>&1; then
    cat "$log" >&2
    echo "sysroot: could not read Debian's package lists for $debian_arch; is the network there?" >&2
    exit 1
fi

# The number in libgcc-N-dev is the compiler's: take the newest that this release has.
libgcc=$(apt-cache "${apt_options[@]}" pkgnames libgcc- | grep -E '^libgcc-[0-9]+-dev$' | sort -t- -k2n | tail -n 1)
packages=(musl musl-dev linux-libc-dev "$libgcc")
rm -f -- "$state"/archives/*.deb
if ! (cd "$state/archives" && apt-get "${apt_options[@]}" download "${packages[@]}") >"$log" 2>&1; then
    cat "$log" >&2
    echo "sysroot: could not download ${packages[*]} for $debian_arch" >&2
    exit 1
fi
for package in "$state"/archives/*.deb; do dpkg -x "$package" "$unpacked"; done

# One flat folder a kind. Of the kernel's headers only those folders that musl does not have itself.
rm -rf "${folder:?}/include" "${folder:?}/lib"
cp -rL "$unpacked/usr/include/$arch-linux-musl" "$folder/include"
cp -r "$unpacked/usr/include/linux" "$unpacked/usr/include/asm-generic" "$folder/include/"
cp -rL "$unpacked/usr/include/$arch-linux-gnu/asm" "$folder/include/"
cp -rL "$unpacked/usr/lib/$arch-linux-musl" "$folder/lib"
cp "$unpacked"/usr/lib/gcc/*/*/libgcc.a "$folder/lib/"
# musl as a shared library serves the tests of the preload library alone; nothing else is linked against it.
mkdir -p "$folder/musl"
cp "$unpacked/lib/$arch-linux-musl/libc.so" "$folder/musl/"
(cd "$state/archives" && ls -- *.deb) >"$folder/packages"
rm -rf "$unpacked" "$state"
