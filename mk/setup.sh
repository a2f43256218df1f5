#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: mk/setup.sh [--optional LIST]
#   Checks what the machine has, and installs what is missing from Debian's packages, as root. No kernel
#   is installed, no architecture added, no service started.
#   --optional LIST  only the packages of that list, and without them it goes on: it says what to do, and exits 0.
set -eu
. mk/say.sh

needed_gigabytes=6
needed_memory=4
list=packaging/debian-packages.txt
is_optional=
if [ "${1:-}" = --optional ]; then
    is_optional=yes
    list=$2
fi

refuse() {
    echo "setup: $1" >&2
    [ -z "$is_optional" ] || { echo "setup: going on without" >&2; exit 0; }
    exit 1
}

check_machine() {
    command -v git >/dev/null || refuse "there is no git; install it: apt-get install git"
    command -v swift >/dev/null || refuse "there is no swift on PATH; install Swift 6.3 from https://swift.org/install"
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    case $version in
    6.[3-9] | 6.[1-9][0-9] | [7-9].*) ;;
    *)
        version=${version:-of an unknown version}
        refuse "Swift $version is on PATH; Ringway needs 6.3 or later: https://swift.org/install"
        ;;
    esac
    free=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1048576))
    if [ "$free" -lt $needed_gigabytes ] && [ ! -d .build ]; then
        refuse "$free GB are free here and $needed_gigabytes GB are needed (builds, kernel packages, images)"
    fi
    memory=$(awk '/^MemTotal:/ { printf "%d", $2 / 1000000 + 0.5 }' /proc/meminfo)
    [ "$memory" -ge $needed_memory ] || refuse "this machine has $memory GB of memory, and $needed_memory GB are needed"
    [ "$(uname -m)" = x86_64 ] || refuse "the two virtual machines need an x86_64 host; this one is $(uname -m)"
    say "git, make, Swift $version, $free GB of disk and $memory GB of memory are there"
}
[ -n "$is_optional" ] || check_machine

command -v dpkg-query >/dev/null || refuse "this is no Debian system; install what $list names, by hand"
missing=()
for package in $(sed 's/#.*//' $list | awk 'NF { print $1 }'); do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    say "every package of $list is installed"
    exit 0
fi
say "missing packages: ${missing[*]}"
if [ "$(id -u)" != 0 ]; then
    echo "setup: packages are missing; as root, run:" >&2
    echo "    apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    [ -n "$is_optional" ] || exit 1
    say "going on without them"
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt_options=(-y -q --no-install-recommends -o "DPkg::Lock::Timeout=300" -o "Acquire::Retries=3")
log=.build-results/setup.log
mkdir -p .build-results
say "reading Debian's package lists"
apt-get "${apt_options[@]}" update >$log 2>&1 ||
    { cat $log >&2; refuse "apt-get update failed; is the network there?"; }
plan=$(apt-get "${apt_options[@]}" --simulate install "${missing[@]}" 2>>$log) ||
    { cat $log >&2; refuse "apt-get cannot install ${missing[*]}"; }
# A dependency that is a kernel, or that would take a package away, is a reason to let a person decide.
if echo "$plan" | grep -Eq '^(Inst linux-image|Remv )'; then
    echo "$plan" | grep -E '^(Inst linux-image|Remv )' >&2
    refuse "installing ${missing[*]} would install a kernel or remove packages; do it by hand"
fi

# Debian's way to say that no service may start while packages are installed.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
fi
say "installing $(echo "$plan" | grep -c '^Inst ') packages"
apt-get "${apt_options[@]}" install "${missing[@]}" >>$log 2>&1 ||
    { tail -n 40 $log >&2; refuse "apt-get install failed; its output is in $log"; }
say "installed ${missing[*]}"
