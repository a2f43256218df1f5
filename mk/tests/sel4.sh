#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: mk/tests/sel4.sh short|long
# The scenarios for two guests on seL4, each a check; skipped, by name, where there is no Microkit SDK and no libvmm, or
# no image of the CAmkES VM.
set -u
tier=$1
status=0
rig=$(swift build --show-bin-path)/ringway-rig

scenario() {
    local name=$1 variant=$2 times=1
    [ "$tier" = long ] && times=$3
    if [ -z "${MICROKIT_SDK:-}" ] || [ -z "${LIBVMM:-}" ]; then
        echo "skip scenario $name on seL4, variant $variant (MICROKIT_SDK and LIBVMM are not set)"
    elif "$rig" sel4 "$name" --variant "$variant" --times "$times"; then
        echo "pass scenario $name on seL4, variant $variant"
    else
        echo "fail scenario $name on seL4, variant $variant"
        status=1
    fi
}
scenario usb-disk ringway 5
scenario six-devices ringway 3
scenario usb-disk ringway-oneway 1
scenario six-devices ringway-oneway 1
scenario stray-store ringway-oneway 1
scenario stray-store-importer ringway-oneway 1

# On the CAmkES VM, in an image that an integrator has built.
camkes() {
    local name=$1 times=1
    [ "$tier" = long ] && times=$2
    if [ -z "${SEL4_CAMKES_IMAGE:-}" ]; then
        echo "skip scenario $name on the CAmkES VM (SEL4_CAMKES_IMAGE is not set)"
    elif "$rig" sel4 "$name" --image "$SEL4_CAMKES_IMAGE" --times "$times"; then
        echo "pass scenario $name on the CAmkES VM"
    else
        echo "fail scenario $name on the CAmkES VM"
        status=1
    fi
}
camkes usb-disk 3
camkes six-devices 3
camkes stray-store 1
camkes stray-store-importer 1
exit $status
