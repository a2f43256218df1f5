#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A small benchmark in two virtual machines: that it measures every turn, compares every byte and comes to its closing
# line; never what the figures are.
# usage: mk/tests/bench-vm.sh [short|long]     short: ring against TCP only, and events
# prints "pass NAME" or "fail NAME"
set -u
cd "$(dirname "$0")/../.." || exit 1
tier=${1:-short}
name="bench-vm: every turn measured, every byte compared, the goals counted"
folder=.build-results/bench-vm
mkdir -p "$folder"
rm -f "$folder/figures.json"
rig=$(swift build --show-bin-path)/ringway-rig
if [ ! -x "$rig" ]; then swift build --product ringway-rig >&2 || exit 1; fi

broken() { # WHAT
    cat "$folder/progress" "$folder/table"
    echo "fail $name ($1)"
    exit 1
}

# Seven kinds of work and two of events by two contenders; in full two more by two, and three geometries.
if [ "$tier" = long ]; then
    words=(--megabytes 4 --requests 50 --idle-seconds 2)
    ways=(ring tcp unguarded)
    turns=$((3 * (7 * 2 + 2 * 2 + 2 * 2 + 3)))
else
    words=(--part tcp --part events --megabytes 2 --requests 10)
    ways=(ring tcp)
    turns=$((3 * (7 * 2 + 2 * 2)))
fi
"$rig" bench --rounds 3 "${words[@]}" --json "$folder/figures.json" >"$folder/table" 2>"$folder/progress" ||
    broken "exit status $?"

for way in "${ways[@]}"; do
    grep -q "^integrity $way: held, " "$folder/table" || broken "the bytes of $way were not compared"
done
grep -q '^| bulk read, 1 MiB a request, MB/s | [0-9]' "$folder/table" || broken "no row for bulk reads"
grep -q '^| control request, .* | [0-9]' "$folder/table" || broken "no row for control requests"
for kind in 'interrupt transfer behind a request' 'isochronous transfers, from their rhythm'; do
    grep -q "^| $kind, 99 % | [0-9]" "$folder/table" || broken "no row for $kind"
done
measured=$(grep -c '"p99"' "$folder/figures.json")
[ "$measured" = $turns ] || broken "$measured turns were measured, not $turns"
tail -n 1 "$folder/table" | grep -Eq '^goals: [0-9]+ met, [0-9]+ missed(, [0-9]+ not measured)?$' ||
    broken "no closing line"
echo "pass $name ($(tail -n 1 "$folder/table"))"
