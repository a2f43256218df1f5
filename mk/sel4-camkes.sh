#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: IMAGE=FILE mk/sel4-camkes.sh [--keep]
# Boots the image that an integrator has built of vm-configs/sel4-camkes in a CAmkES VM checkout, and shows that USB
# devices cross from one guest to the other. Nothing of seL4 or CAmkES is fetched or built here, nor are the guests:
# they are in the image.
set -eu
. mk/say.sh

complain() {
    cat >&2 <<END
sel4-camkes-demo: $1
It needs one file that is built elsewhere:
  IMAGE=  what a CAmkES VM checkout has built of the application vm-configs/sel4-camkes for qemu-arm-virt:
          images/capdl-loader-image-arm-qemu-arm-virt of its build folder
          https://docs.sel4.systems/projects/camkes/setting-up.html
          https://github.com/seL4/camkes-vm-examples-manifest
so:  make sel4-camkes-demo IMAGE=/path/to/build/images/capdl-loader-image-arm-qemu-arm-virt
docs/sel4.md says how to build it, and what goes into the guests.
END
    exit 2
}
[ -n "${IMAGE:-}" ] || complain "IMAGE= is not set."
[ -f "$IMAGE" ] || complain "IMAGE=$IMAGE is no file."

mkdir -p .build-results
mk/setup.sh
say "building the rig …"
if ! swift build --product ringway-rig >.build-results/sel4-build.log 2>&1; then
    cat .build-results/sel4-build.log >&2
    exit 1
fi
exec "$(swift build --show-bin-path)/ringway-rig" sel4 usb-disk six-devices --image "$IMAGE" "$@"
