#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# usage: mk/bench-peers.sh FOLDER
#   Builds each queue of peers/ whose headers this machine has into FOLDER/NAME.so, and says which it has not.
set -u
. mk/say.sh
folder=$1
mkdir -p "$folder"

flags=(-std=c++17 -O3 -fPIC -shared -ISources/CBench/include)
# What DPDK's own package asks for on x86_64; nothing that the others could not use.
[ "$(uname -m)" = x86_64 ] && flags+=(-march=corei7)

for source in peers/*.cpp; do
    name=$(basename "$source" .cpp)
    own=()
    if [ "$name" = rte-ring ]; then
        pkg-config --exists libdpdk 2>/dev/null && read -ra own <<<"$(pkg-config --cflags-only-I libdpdk)"
        own+=(-lrte_ring -lrte_eal)
    fi
    [ "$name" = zeromq ] && own=(-lzmq)
    rm -f "$folder/$name.so"
    if clang++ "${flags[@]}" "$source" -o "$folder/$name.so" "${own[@]}" 2>"$folder/$name.log"; then
        say "peer $name: built"
    else
        say "peer $name: missing ($(grep -m 1 -oE "error:.*|cannot find.*" "$folder/$name.log"))"
    fi
done
