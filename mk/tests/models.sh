#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks each model of models/ with spin, and that spin finds each of its broken variants.
# usage: mk/tests/models.sh [TIER]
# prints "pass NAME" or "fail NAME" a check
set -u
cd "$(dirname "$0")/../.." || exit 1
if ! command -v spin >/dev/null; then
    echo "skip models (there is no spin: apt-get install spin)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# verify MODEL [-DVARIANT]: prints the number of errors that were found; nothing when it was not verified.
verify() {
    local model=$PWD/models/$1.pml define=${2:-} search=-DSAFETY options=()
    if grep -q '^ltl ' "$model"; then
        search=-DNFAIR=3
        options=(-a -f)
    fi
    (
        cd "$work" || exit
        rm -f pan* ./*.trail
        spin -a ${define:+"$define"} "$model" >spin.log 2>&1 && gcc -O2 -w -DMEMLIM=2000 "$search" -o pan pan.c || exit
        timeout 900 ./pan "${options[@]}" -m400000 >pan.log 2>&1
        # A search that was cut off has shown nothing.
        grep -q 'max search depth too small\|out of memory\|reached -DMEMLIM' pan.log && exit
        sed -n 's/.*depth reached [0-9]*, errors: \([0-9]*\).*/\1/p' pan.log
    )
}

check() {
    local name=$1 errors=$2 wanted=$3
    case $wanted:${errors:-none} in
    none:0 | some:[1-9]*) echo "pass model $name" ;;
    *)
        echo "fail model $name (errors: ${errors:-it was not verified})"
        cat "$work/spin.log" "$work/pan.log" >&2
        failed=1
        ;;
    esac
}

for file in models/*.pml; do
    model=$(basename "$file" .pml)
    check "$model" "$(verify "$model")" none
    variants=$(sed -n '/Broken variants/,/Run time/p' "$file" | grep -oE '\b[A-Z]+_[A-Z_]+\b')
    [ -n "$variants" ] || check "$model without a broken variant" "" some
    for variant in $variants; do
        check "$model, broken by $variant" "$(verify "$model" "-D$variant")" some
    done
done
exit $failed
