#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: mk/demo.sh x86_64|aarch64 [--keep]
# Builds what the two virtual machines need, and shows a USB disk that crosses from one to the other.
set -eu
. mk/say.sh
arch=$1
shift

mkdir -p .build-results
say "building the guests' programs …"
make --no-print-directory "guest-$arch" >&2
say "building the rig …"
if ! swift build --product ringway-rig >.build-results/demo-build.log 2>&1; then
    cat .build-results/demo-build.log >&2
    exit 1
fi
say "starting the two virtual machines …"
exec "$(swift build --show-bin-path)/ringway-rig" demo --arch "$arch" "$@"
