# SPDX-License-Identifier: Apache-2.0
# Sourced by the other scripts: progress lines with the time since the start, and the list of results.

start_time=${RINGWAY_START:-$(date +%s)}
export RINGWAY_START=$start_time
results=${RINGWAY_RESULTS:-.build-results/results}

say() { printf '[%5d s] %s\n' $(($(date +%s) - start_time)) "$*" >&2; }

# record pass|fail|skip NAME
record() {
    printf '%s %s\n' "$1" "$2" >>"$results"
    case $1 in
    fail) say "FAILED   $2" ;;
    skip) say "skipped  $2" ;;
    esac
}

# step NAME COMMAND...: runs it, and records whether it worked. Its output is kept and shown when it fails.
step() {
    local name=$1 log began
    shift
    log=$(dirname "$results")/$(printf '%s' "$name" | tr -c 'A-Za-z0-9.-' _).log
    began=$(date +%s)
    say "$name …"
    if "$@" >"$log" 2>&1; then
        record pass "$name"
        say "$name: $(($(date +%s) - began)) s"
    else
        record fail "$name"
        tail -n 60 "$log" >&2
        say "$name failed; all of its output is in $log"
        return 1
    fi
}

# Starts an empty list of results.
begin_results() {
    mkdir -p "$(dirname "$results")"
    rm -f "$(dirname "$results")"/*
    : >"$results"
}

# The last line of a run, with the true totals; fails if anything failed, or if nothing ran.
summary() {
    local passed failed skipped
    passed=$(grep -c '^pass ' "$results")
    failed=$(grep -c '^fail ' "$results")
    skipped=$(grep -c '^skip ' "$results")
    grep '^fail ' "$results" | sed 's/^fail /FAILED  /'
    grep '^skip ' "$results" | sed 's/^skip /skipped /'
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
