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

# As many at once as there are processors, up to four: the unit tests use one, two machines of one scenario mostly wait
# for each other, and take up to 1 GiB. What a check says never depends on how long it took.
at_once=$(nproc)
[ "$at_once" -le 4 ] || at_once=4
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 130' INT TERM
# job COMMAND...: starts it as soon as there is room.
job() {
    while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n; done
    (
        trap - INT TERM
        "$@"
    ) &
}

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
    if [ $status -eq 77 ]; then
        [ -s "$log.lines" ] || record skip "$name"
    elif [ $status -ne 0 ]; then
        # All that a check which failed has said: it stands behind its line.
        if grep -q '^fail ' "$log.lines"; then
            awk '/^(pass|fail|skip) / { told = /^fail / } told' "$log" >&2
        else
            tail -n 60 "$log" >&2
            record fail "$name (exit status $status)"
        fi
    elif [ ! -s "$log.lines" ]; then
        record pass "$name"
    fi
    say "$name: done"
}

scenario() { # NAME ARGUMENT...
    local name=$1
    shift
    job step "scenario $name" "$rig" run "$@"
}
run_scenarios() {
    local full=() name others=native
    [ "$tier" = long ] && full=(--full)
    for name in $(scenarios); do scenario "$name" "$name" "${full[@]}"; done
    # The other architecture: one scenario that is short, or all of them in their short form.
    [ "$tier" = long ] && others=$(scenarios)
    for name in $others; do scenario "$name on aarch64" "$name" --arch aarch64; done
}
scenarios() { (cd vm-configs/scenarios && printf '%s\n' *.scenario | sed 's/\.scenario$//'); }

step "guest binaries" make --no-print-directory -j2 guest probes
if mk/check.sh build; then
    # One after the other in one process, which leaves the other processors to the scripts.
    job mk/check.sh unit
fi
for script in mk/tests/*.sh; do job run_script "$script"; done
# The scenarios are alone: the unit tests start machines, too.
wait

rig=$(swift build --show-bin-path)/ringway-rig
if [ ! -x "$rig" ]; then
    record fail "scenarios (ringway-rig was not built)"
elif ! compgen -G 'vm-configs/scenarios/*.scenario' >/dev/null; then
    record fail "scenarios (vm-configs/scenarios has none)"
else
    run_scenarios
    wait
fi
summary
