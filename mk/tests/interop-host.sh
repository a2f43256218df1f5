#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# USB/IP programs that are neither Linux's nor ours, over a ring of this host: two agents on one file, no virtual
# machine. The programs are Python packages (Tests/Interop/requirements.txt), installed by version and hash below
# .build-interop; nothing else of the machine is changed. Prints "pass NAME", "fail NAME" or "skip NAME"; exits 0
# unless one failed.
set -u
cd "$(dirname "$0")/../.." || exit 1
kept=$PWD/.build-interop
ringway=$PWD/.build-guest/x86_64/ringway
tool=$PWD/Tests/Interop/interop.py
wanted=$PWD/Tests/Interop/requirements.txt
patience=60
status=0

say() { # RESULT NAME [WHY]
    echo "$1 $2${3:+ ($3)}"
    [ "$1" != fail ] || status=1
}

skip() { # WHY
    say skip interop-host "$1"
    exit 77
}

mkdir -p "$kept"
[ -x "$ringway" ] || { say fail interop-host "there is no $ringway; run make guest"; exit 1; }
[ "$(uname -m)" = x86_64 ] || skip "the programs of .build-guest/x86_64 do not run here"

# Debian's python3 of bookworm, or a newer one.
python=$(command -v /usr/bin/python3 || command -v python3) || skip "there is no python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || skip "$("$python" -V) is older than 3.11"
stamp=$({ "$python" -V && cat "$wanted"; } | sha256sum | cut -d ' ' -f 1)
if [ "$(cat "$kept/stamp" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$kept/python" "$kept/stamp"
    "$python" -m venv "$kept/python" >"$kept/venv.log" 2>&1 || skip "python3 makes no environments; python3-venv does"
    if "$kept/python/bin/pip" install --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --retries 1 --timeout 20 -r "$wanted" >"$kept/pip.log" 2>&1; then
        echo "$stamp" >"$kept/stamp"
    elif grep -q 'DO NOT MATCH THE HASHES' "$kept/pip.log"; then
        cat "$kept/pip.log" >&2
        say fail interop-host-packages "a package is not the one that was pinned"
        exit 1
    else
        cat "$kept/pip.log" >&2
        skip "the Python packages cannot be installed: $(grep '^ERROR' "$kept/pip.log" | head -n 1 | cut -c 1-100)"
    fi
fi
python=$kept/python/bin/python

scratch=$(mktemp -d /tmp/ringway-interop.XXXXXX)
memory=$(mktemp /dev/shm/ringway-interop.XXXXXX)
truncate -s 8M "$memory"
children=()
finish() {
    [ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null
    wait
    rm -rf "$scratch" "$memory"
}
trap finish EXIT
trap 'exit 1' INT TERM

await() { # TEXT DESCRIPTOR: reads what a program prints until it has said that
    local line
    while IFS= read -r -t $patience line <&"$2"; do
        echo "$line" >>"$scratch/log"
        case $line in *"$1"*) return 0 ;; esac
    done
    echo "waited for \"$1\"; before:" >&2
    cat "$scratch/log" >&2
    return 1
}

# The server is in a, its clients are in b.
declare -A agents
for side in a b; do
    mkdir "$scratch/$side"
    # An agent offers devices when it has a rule; no device has this serial number.
    rule=()
    [ $side = b ] && rule=(--export serial:ringway-interop-has-none)
    exec {said}< <(exec "$ringway" agent --side $side --section-a "file:$memory,offset=0,size=4M" \
        --section-b "file:$memory,offset=4M,size=4M" --channels 16 --ring-size 64K --opens-a 8 --doorbell none \
        --runtime-dir "$scratch/$side" "${rule[@]}" 2>&1)
    children+=($!)
    agents[$side]=$said
done
await "link up" "${agents[a]}" && await "link up" "${agents[b]}" || { say fail interop-host "no link"; exit 1; }

# Through the ring, from a side: PROGRAM…
over() { # SIDE ARGUMENT…
    local side=$1
    shift
    timeout $patience "$ringway" run --runtime-dir "$scratch/$side" -- "$python" "$tool" "$@"
}

# check NAME COMMAND…: the command succeeds
check() {
    local name=$1
    shift
    if "$@" >"$scratch/output" 2>&1; then say pass "$name"; else say fail "$name"; fi
    sed 's/^/  /' "$scratch/output"
}

# Nobody is there but through the ring: what the clients find cannot have come another way.
listens_on_tcp() { (exec {probe}<>/dev/tcp/127.0.0.1/3240) 2>/dev/null; }
silent_on_tcp() { ! listens_on_tcp; }

busy=0
listens_on_tcp && busy=1
exec {served}< <(exec "$ringway" run --runtime-dir "$scratch/a" -- "$python" "$tool" serve 3240 \
    "$scratch/descriptors" 2>&1)
children+=($!)
await ready "$served" || { say fail interop-host-server "the independent server does not start"; exit 1; }

# Its client, and ours, of the same server.
lists_agree() {
    "$ringway" list --remote --json --runtime-dir "$scratch/b" >"$scratch/ours" && over b list 3240 "$scratch/ours"
}

crossed() { # SIDE COUNTER
    "$ringway" status --json --runtime-dir "$scratch/$1" | sed -n "s/.*\"$2\": *\([0-9]*\).*/\1/p" | head -n 1
}

used() {
    local before after least
    before=$(crossed b bytes-in)
    over b use 3240 "$scratch/descriptors" "$scratch/over-the-ring" || return 1
    after=$(crossed b bytes-in)
    least=$(sed -n 's/^replies //p' "$scratch/over-the-ring" | wc -c)
    echo "bytes in: $before before, $after after; $((least / 2)) of replies"
    [ $((after - before)) -ge $((least / 2)) ]
}

same_as_over_tcp() {
    timeout $patience "$python" "$tool" direct "$scratch/descriptors-of-direct" "$scratch/over-tcp" &&
        cmp "$scratch/descriptors" "$scratch/descriptors-of-direct" && cmp "$scratch/over-the-ring" "$scratch/over-tcp"
}

# From a, whose peer's agent offers what its rule matches: nothing. An import is answered all the same.
empty_list() {
    local list
    list=$(over a list 3240) && echo "$list" && [ "$list" = "[]" ]
}

check interop-host-lists lists_agree
if [ $busy = 1 ]; then
    say skip interop-host-nobody-on-tcp "something else listens on port 3240 of this machine"
else
    check interop-host-nobody-on-tcp silent_on_tcp
fi
check interop-host-urbs used
check interop-host-same-as-tcp same_as_over_tcp
check interop-host-ringway-offers-nothing empty_list
check interop-host-ringway-refuses over a refused 3240
exit $status
