#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: mk/test.sh check|short|long
#   check  format, build, unit tests
#   short  and the guests' binaries, script checks, and every scenario in its short form
#   long   and every scenario and number in full
set -u
. mk/say.sh
tier=$1
begin_results

if [ "$tier" = check ]; then
    mk/check.sh
    summary
    exit
fi

# A test that finds no guest binaries is skipped elsewhere, and fails here.
export RINGWAY_TEST_GUEST=1
[ "$tier" = long ] && export RINGWAY_TEST_LONG=1
step "guest binaries" make --no-print-directory -j2 guest probes
mk/check.sh

# A script in mk/tests is a check of its own: 0 passed, 77 skipped, anything else failed.
for script in mk/tests/*.sh; do
    [ -e "$script" ] || continue
    name=$(basename "$script" .sh)
    log=$(dirname "$results")/$name.log
    say "$name …"
    "$script" "$tier" >"$log" 2>&1
    case $? in
    0) record pass "$name" ;;
    77) record skip "$name" ;;
    *) tail -n 60 "$log" >&2; record fail "$name" ;;
    esac
done

rig=$(swift build --show-bin-path)/ringway-rig
if [ -x "$rig" ]; then
    full=()
    [ "$tier" = long ] && full=(--full)
    found=0
    for scenario in vm-configs/scenarios/*.scenario; do
        [ -e "$scenario" ] || continue
        found=1
        name=$(basename "$scenario" .scenario)
        step "scenario $name" "$rig" run "$name" "${full[@]}"
    done
    [ $found = 1 ] || record fail "scenarios (vm-configs/scenarios has none)"
else
    record fail "scenarios (ringway-rig was not built)"
fi
summary
