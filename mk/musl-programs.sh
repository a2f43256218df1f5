#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: mk/musl-programs.sh ARCH FOLDER SYSROOT GCC
#
# Builds busybox's nc, wget and httpd from Debian's source, dynamically linked against musl: programs of another libc
# for the rig's guests, since Debian has none that is not linked against glibc. Puts busybox-musl and musl's loader into
# FOLDER. The source is downloaded with apt's own check of its signature, and kept nowhere else.
set -eu

arch=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
sysroot=$(cd "$3" && pwd)
# busybox writes to what it calls constant, which gcc bears.
gcc=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The machine's own Debian mirrors, so that a proxy or a local mirror is respected.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
options=
if [ -f $keyring ]; then options="[signed-by=$keyring] "; fi
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    awk -v codename="$codename" -v options="$options" \
        '$2 ~ "^" codename && $3 == "main" { print "deb-src " options $1 " " $2 " main" }' |
    sort -u >"$work/sources.list"
mkdir -p "$work/lists/partial"
apt_options=(
    -o "Dir::State=$work" -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work"
    -o "Dir::Etc::sourcelist=$work/sources.list" -o "Dir::Etc::sourceparts=/dev/null"
    -o "APT::Sandbox::User=root" -o "Acquire::Languages=none" -o "Acquire::Retries=3"
)
complain() { # WHAT
    cat "$work/log" >&2
    echo "musl-programs: $1" >&2
    exit 1
}
apt-get "${apt_options[@]}" update >"$work/log" 2>&1 || complain "could not read Debian's lists of sources"
(cd "$work" && apt-get "${apt_options[@]}" --download-only source busybox) >"$work/log" 2>&1 ||
    complain "could not download Debian's source of busybox"
mkdir "$work/busybox"
tar -xf "$work"/busybox_*.orig.tar.* -C "$work/busybox" --strip-components=1

# A loader of its own name: it stands beside no other musl of the guest.
cat >"$work/cc" <<COMPILER
#!/bin/sh
lib=$sysroot/lib
own=\$($gcc -print-file-name=include)
for word in "\$@"; do
    case \$word in
    -c | -E | -S) exec $gcc -w -fno-pie -nostdinc -isystem $sysroot/include -isystem \$own "\$@" ;;
    -r) exec $gcc "\$@" ;;
    esac
done
exec $gcc -w -nostdlib -no-pie -Wl,-dynamic-linker,/lib/ld-musl.so.1 \$lib/crt1.o \$lib/crti.o "\$@" \\
    -L$sysroot/musl -L\$lib -lc \$lib/libgcc.a \$lib/crtn.o
COMPILER
chmod +x "$work/cc"
{
    cd "$work/busybox"
    make allnoconfig
    for option in NC NC_SERVER WGET HTTPD LFS; do
        sed -i "s/^# CONFIG_$option is not set/CONFIG_$option=y/" .config
    done
    # A question more or less decides nothing here; `yes` ends by a broken pipe.
    (set +o pipefail; yes '' | make oldconfig)
    make CC="$work/cc" SKIP_STRIP=y busybox_unstripped
} >"$work/log" 2>&1 || complain "could not build busybox with musl"
cp "$sysroot/musl/libc.so" "$folder/ld-musl.so.1"
cp "$work/busybox/busybox_unstripped" "$folder/busybox-musl.new"
mv "$folder/busybox-musl.new" "$folder/busybox-musl"
