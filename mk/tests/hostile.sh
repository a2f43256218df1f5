#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A hostile peer (Tests/HostilePeer) against the agent as ordinary Swift with AddressSanitizer.
# usage: mk/tests/hostile.sh [TIER]     MUTATIONS=n, SEED=s: how many, and which
# prints "pass NAME" or "fail NAME", and what it did
set -u
cd "$(dirname "$0")/../.." || exit 1
mutations=${MUTATIONS:-$([ "${1:-short}" = long ] && echo 1000000 || echo 100000)}
seed=${SEED:-$((RANDOM << 15 | RANDOM))}
scratch=.build-asan
log=$scratch/agent.log
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=detect_leaks=0:exitcode=99:quarantine_size_mb=32
mkdir -p "$scratch"
for product in ringway HostilePeer; do
    # Optimised: most of the run is the agent's work.
    if ! swift build --scratch-path "$scratch" --product "$product" --sanitize=address -Xswiftc -O \
        >"$scratch/build.log" 2>&1; then
        cat "$scratch/build.log" >&2
        echo "fail hostile peer ($product was not built)"
        exit 1
    fi
done
echo "seed $seed"
began=$(date +%s)
built=$scratch/debug
if "$built/HostilePeer" "$built/ringway" "$log" "$mutations" "$seed" 2>"$log" >"$scratch/hostile.txt"; then
    cat "$scratch/hostile.txt"
    echo "pass hostile peer: $(head -n 1 "$scratch/hostile.txt") ($(($(date +%s) - began)) s)"
else
    cat "$scratch/hostile.txt"
    grep -A 30 'ERROR: AddressSanitizer' "$log" || tail -n 20 "$log"
    echo "fail hostile peer (again: make hostile MUTATIONS=$mutations SEED=$seed; the agent's log is $log)"
    exit 1
fi
