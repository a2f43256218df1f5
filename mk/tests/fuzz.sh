#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzzers and runs each target of Fuzz/, two at a time.
# usage: mk/tests/fuzz.sh [TIER]     FUZZ_SECONDS=n: so long each; FUZZ_TARGETS: these only
# prints "pass NAME", "fail NAME" or "skip NAME" a target, and what it did
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${FUZZ_SECONDS:-$([ "${1:-short}" = long ] && echo 60 || echo 10)}
build=.build-fuzz
fuzz=$build/fuzz
found=$build/found
mkdir -p "$found"
# With Swift's own crash report a crash does not come to its end. Leaks are the runtime's metadata.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=32:malloc_context_size=3

if ! make --no-print-directory -f mk/fuzz.mk -j2 fuzz-program >"$build/build.log" 2>&1; then
    if grep -q "libclang_rt.fuzzer\|unsupported option '-sanitize=fuzzer" "$build/build.log"; then
        echo "skip fuzz (this Swift has no libFuzzer)"
        exit 77
    fi
    cat "$build/build.log" >&2
    echo "fail fuzz (not built)"
    exit 1
fi

# fuzz TARGET: one line of figures; what went wrong, with the way to see it again.
fuzz() {
    local target=$1 log=$build/$1.log corpus=$build/corpus/$1 input
    mkdir -p "$corpus"
    "$fuzz" "target=$target" -max_total_time="$seconds" -max_len=2048 -len_control=20 -timeout=120 \
        -artifact_prefix="$found/$target-" -print_final_stats=1 "$corpus" "Fuzz/corpus/$target" >"$log" 2>&1
    local status=$?
    local done='^#\([0-9]*\)\s*DONE *cov: \([0-9]*\).* corp: \([0-9]*\)\/\([^ ]*\).*'
    figures=$(sed -n "s/$done/\1 executions, \2 edges, corpus of \3 (\4)/p" "$log")
    if [ $status -eq 0 ] && [ -n "$figures" ]; then
        echo "pass fuzz $target: $figures"
        return
    fi
    grep -E 'NOT AS IT MUST BE|Fatal error|ERROR: |SUMMARY' "$log" >&2
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    echo "fail fuzz $target (exit status $status; ${input:-no input was kept}; see $log)"
    [ -z "$input" ] || echo "  again: SWIFT_BACKTRACE=enable=no $fuzz target=$target $input"
}

failed=0
run=()
for target in ${FUZZ_TARGETS:-$("$fuzz" targets)}; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    fuzz "$target" >"$build/$target.result" &
    run+=("$target")
done
wait
for target in "${run[@]}"; do
    cat "$build/$target.result"
    grep -q '^pass ' "$build/$target.result" || failed=1
done
exit $failed
