#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: MICROKIT_SDK=FOLDER LIBVMM=FOLDER mk/sel4.sh [--keep]
# Builds what two guests on seL4 need, boots them, and shows that USB devices cross from one to the other. seL4,
# Microkit and libvmm are neither fetched nor built here.
set -eu
. mk/say.sh

complain() {
    cat >&2 <<END
sel4-demo: $1
It needs two things that are installed elsewhere:
  MICROKIT_SDK=  a Microkit SDK 2.0.1 with the board qemu_virt_aarch64
                 https://docs.sel4.systems/projects/microkit/
  LIBVMM=        a folder with libvmm 0.1.0 built for that board: include/libvmm, lib/libvmm.a
                 https://github.com/au-ts/libvmm
so:  make sel4-demo MICROKIT_SDK=/path/to/microkit-sdk-2.0.1 LIBVMM=/path/to/libvmm
docs/sel4.md says what is needed of them.
END
    exit 2
}
[ -n "${MICROKIT_SDK:-}" ] || complain "MICROKIT_SDK= is not set."
[ -n "${LIBVMM:-}" ] || complain "LIBVMM= is not set."
board=board/qemu_virt_aarch64
[ -x "$MICROKIT_SDK/bin/microkit" ] || complain "MICROKIT_SDK=$MICROKIT_SDK holds no bin/microkit."
[ -e "$MICROKIT_SDK/$board" ] || complain "MICROKIT_SDK=$MICROKIT_SDK holds no $board."
[ -e "$LIBVMM/include/libvmm" ] || complain "LIBVMM=$LIBVMM holds no include/libvmm."
[ -e "$LIBVMM/lib/libvmm.a" ] || complain "LIBVMM=$LIBVMM holds no lib/libvmm.a."

mkdir -p .build-results
mk/setup.sh
say "building the guests' programs …"
make --no-print-directory guest-aarch64 >&2
say "building the rig …"
if ! swift build --product ringway-rig >.build-results/sel4-build.log 2>&1; then
    cat .build-results/sel4-build.log >&2
    exit 1
fi
export MICROKIT_SDK LIBVMM
exec "$(swift build --show-bin-path)/ringway-rig" sel4 usb-disk six-devices "$@"
