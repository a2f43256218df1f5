#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The checks that need no virtual machine: format, build, unit tests.
# usage: mk/check.sh [build|unit]      these only; RINGWAY_RESULTS names the list that the results are added to
set -u
part=${1:-all}
. mk/say.sh

# Both compilers must take what the preload library is made of; it is no target of the package.
type_check_shim() {
    swift build --product ringway >&2 || return 1
    swiftc -typecheck -swift-version 6 -parse-as-library -warnings-as-errors \
        -Xcc -fmodule-map-file=Sources/SocketShim/raw/include/module.modulemap -I Sources/SocketShim/raw/include \
        -Xcc -fmodule-map-file=Sources/CShim/include/module.modulemap -I Sources/CShim/include \
        -I "$(swift build --show-bin-path)/Modules" $(find Sources/SocketShim -name '*.swift')
}

# Adds one line a test from the report that `swift test` writes. A report that is not there is a failure:
# the test program did not end by itself.
record_tests() {
    local report=$1
    if [ ! -s "$report" ]; then
        record fail "unit tests (no report: the test program crashed or never started)"
        return
    fi
    awk '
        function finish() { if (name != "") print state, name; name = "" }
        /<testcase / {
            finish()
            match($0, /classname="[^"]*"/); class = substr($0, RSTART + 11, RLENGTH - 12)
            match($0, / name="[^"]*"/); name = class "/" substr($0, RSTART + 7, RLENGTH - 8)
            state = "pass"
        }
        /<(failure|error)[ >]/ { state = "fail" }
        /<skipped/ { if (state == "pass") state = "skip" }
        END { finish() }
    ' "$report" >"$report.lines"
    while read -r state name; do record "$state" "$name"; done <"$report.lines"
}

unit_tests() {
    local folder log began status
    folder=$(dirname "$results")
    log=$folder/unit-tests.log
    began=$(date +%s)
    rm -f "$folder"/unit-tests.xml*
    say "unit tests …"
    # One after the other: tests look at what the whole process shares (mappings, descriptors, children, signals).
    swift test --skip-build --disable-xctest --no-parallel --xunit-output "$folder/unit-tests.xml" >"$log" 2>&1
    status=$?
    record_tests "$folder/unit-tests.xml"
    if [ $status -ne 0 ]; then
        grep -E '✘|rror:|atal' "$log" | cut -c 1-600 | head -n 60 >&2
        # Not every failure is a test's: the totals must not hide one.
        grep -q '^fail ' "$results" || record fail "unit tests (exit status $status; see $log)"
    fi
    say "unit tests: $(grep -E 'Test run with' "$log" | tail -n 1 | sed 's/^[^T]*//') ($(($(date +%s) - began)) s)"
}

[ -s "$results" ] || begin_results
if [ "$part" != unit ]; then
    step "format" swift format lint --strict --parallel --recursive Package.swift Sources Tests Fuzz
    step "preload library under ordinary Swift" type_check_shim
    if ! step "build" swift build --build-tests; then
        record fail "unit tests (not built)"
        exit 1
    fi
fi
[ "$part" = build ] || unit_tests
