#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: mk/bench.sh [FLAG...]
#   Installs the peers' packages where it may, builds the peers that this machine has the headers of, the agent, and the
#   benchmark; and runs it with these flags. What it finds is in .build-bench/results.
set -eu
. mk/say.sh
results=.build-bench/results
architecture=$(uname -m)

mk/setup.sh --optional packaging/debian-packages-bench.txt
mk/bench-peers.sh .build-bench/peers
say "building the agent and the benchmark"
make --no-print-directory "guest-$architecture" >&2
swift build -c release --product ringway-bench >&2
mkdir -p $results
say "measuring; nothing else should run on this machine"
"$(swift build -c release --show-bin-path)/ringway-bench" all --agent ".build-guest/$architecture/ringway" \
    --json $results/run.json --csv $results/run.csv --plots $results "$@"
