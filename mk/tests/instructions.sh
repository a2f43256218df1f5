#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What an operation of the ring costs in instructions, in Swift against the same steps in C (Tests/CRing): a message of
# 64 B into the ring and out of it takes at most a tenth more. It is counted, not timed: 2N messages less N messages,
# divided by N, by valgrind's callgrind. Prints "pass NAME", "fail NAME" or "skip NAME", and both counts.
set -u
cd "$(dirname "$0")/../.." || exit 1
name=instructions-swift-against-c
if ! command -v valgrind >/dev/null; then
    echo "skip $name (valgrind is not installed: packaging/debian-packages-bench.txt)"
    exit 77
fi
# A folder of its own: the unit tests hold the lock of the usual one. Without symbols: valgrind need not know the
# newest form of them.
scratch=.build-count
mkdir -p $scratch
if ! swift build -c release --scratch-path $scratch --product RingCount -Xlinker -s >$scratch/build.log 2>&1; then
    tail -n 40 $scratch/build.log >&2
    echo "fail $name-build"
    exit 1
fi

count() { # VARIANT MESSAGES IN-A-ROW
    valgrind --tool=callgrind --callgrind-out-file=/dev/null $scratch/release/RingCount "$@" 2>&1 |
        awk '/ messages, 0 wrong$/ { right = 1 } / Collected : / { counted = $NF } END { if (right) print counted }'
}

messages=32000
status=0
for row in 1 16; do
    declare -A each=()
    for variant in swift c; do
        one=$(count $variant $messages $row)
        two=$(count $variant $((2 * messages)) $row)
        if [ -z "$one" ] || [ -z "$two" ]; then
            echo "fail $name (RingCount $variant $messages $row was not counted)"
            exit 1
        fi
        # Rounded; what a run does besides is the same but for a few hundred instructions.
        each[$variant]=$(((two - one + messages / 2) / messages))
    done
    verdict=pass
    [ $((each[swift] * 100)) -le $((each[c] * 110)) ] || { verdict=fail; status=1; }
    echo "$verdict $name, $row in a row: ${each[swift]} a message against ${each[c]}"
done
exit $status
