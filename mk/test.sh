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

# A script in mk/tests says "pass NAME", "fail NAME" or "skip NAME" of each of its checks. One that says
# nothing is a check of its own: 0 passed, 77 skipped, anything else failed.
run_script() {
    local name log status
    name=$(basename "$1" .sh)
    log=$(dirname "$results")/$name.log
    say "$name …"
    "$1" "$tier" >"$log" 2>&1
    status=$?
    grep -E '^(pass|fail|skip) ' "$log" >"$log.lines"
    while read -r state what; do record "$state" "$what"; done <"$log.lines"
    if [ $status -eq 77 ] && [ ! -s "$log.lines" ]; then
        record skip "$name"
    elif [ $status -ne 0 ]; then
        tail -n 60 "$log" >&2
        grep -q '^fail ' "$log.lines" || record fail "$name (exit status $status)"
    elif [ ! -s "$log.lines" ]; then
        record pass "$name"
    fi
    say "$name: done"
}
for script in mk/tests/*.sh; do
    [ ! -e "$script" ] || run_script "$script"
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
