#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The ring, and the record of one line, under ThreadSanitizer: silent as they are, and not silent with any one
# ordering weakened. The second half proves that the first can fail. Prints "pass NAME", "fail NAME" or "skip NAME";
# exits 0 unless one failed.
set -u
cd "$(dirname "$0")/../.." || exit 1
scratch=.build-tsan
log=$scratch/tsan.log
export SWIFT_BACKTRACE=enable=no
# The first report decides; what follows repeats it.
export TSAN_OPTIONS="halt_on_error=1 exitcode=66"
status=0
mkdir -p "$scratch"

say() { # RESULT NAME
    echo "$1 $2"
    [ "$1" != fail ] || { status=1; sed 's/^/  /' "$log" | tail -n 40 >&2; }
}

build() { # FLAGS...
    # Optimised: else the accesses happen in the standard library, where the detector does not look.
    swift build --scratch-path "$scratch" --product RingPeer --sanitize=thread -Xswiftc -O "$@" >"$log" 2>&1
}

race() { # CONTENDERS, or "record"
    if [ "$1" = record ]; then
        "$scratch/debug/RingPeer" race-record total=100000 seed=7 >"$log" 2>&1
    else
        "$scratch/debug/RingPeer" race total=400000 seed=7 "contenders=$1" >"$log" 2>&1
    fi
}

if ! build; then
    say fail tsan-build
    exit 1
fi
for contenders in 1 2 record; do
    if race $contenders; then say pass "tsan-race-$contenders"; else say fail "tsan-race-$contenders"; fi
done

# One edge each: the producer's publication, the consumer's, and the end lock's release (which only
# contenders for one end can see); and the line's publication.
for edge in TAIL:1 HEAD:1 OWNER:2 RECORD:record; do
    name=RINGWAY_WEAKEN_${edge%:*}_RELEASE
    if ! build -Xswiftc "-D$name"; then
        say fail "tsan-build-$name"
        continue
    fi
    race "${edge#*:}"
    # Only the detector's own report counts: not a crash, not a wrong byte.
    if [ $? -eq 66 ] && grep -q 'WARNING: ThreadSanitizer: data race' "$log"; then
        say pass "tsan-catches-$name"
    else
        say fail "tsan-catches-$name"
    fi
done
exit $status
