#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Real programs over a ring of this host: server and client each in a network namespace of its own that has nothing but
# `lo`, so that TCP cannot carry a byte from one to the other. The programs are Debian's, unpacked below .build-rig (no
# package is installed, no service started). Prints "pass NAME", "fail NAME" or "skip NAME"; exits 0 unless one failed.
# usage: mk/tests/programs-host.sh [short|long]
set -u
cd "$(dirname "$0")/../.." || exit 1
tier=${1:-short}
built=$PWD/.build-guest/x86_64
tree=$PWD/.build-rig/programs-$tier
patience=120
status=0

say() { # RESULT NAME [WHY]
    echo "$1 $2${3:+ ($3)}"
    [ "$1" != fail ] || status=1
}

skip() { # WHY
    say skip programs-host "$1"
    exit 77
}

[ -x "$built/ringway" ] || { say fail programs-host "there is no $built/ringway; run make guest"; exit 1; }
[ "$(uname -m)" = x86_64 ] || skip "the programs of .build-guest/x86_64 do not run here"
[ "$(id -u)" = 0 ] || skip "network namespaces and chroot are root's"
unshare --net --mount true 2>/dev/null || skip "no network namespaces can be made here"

packages=(bash coreutils dash util-linux iproute2 procps redis-server redis-tools iperf3 curl python3-minimal
    libpython3-stdlib nginx-light git)
[ "$tier" != long ] || packages+=(postgresql postgresql-client openssh-server openssh-client)
rig=$(swift build --show-bin-path)/ringway-rig
if [ ! -x "$rig" ]; then swift build --product ringway-rig >&2 || exit 1; fi
"$rig" root --output "$tree" "${packages[@]}" >&2 || { say fail programs-host "no root of packages"; exit 1; }

scratch=$(mktemp -d /tmp/ringway-programs.XXXXXX)
chmod 755 "$scratch"
memory=$(mktemp /dev/shm/ringway-programs.XXXXXX)
truncate -s 32M "$memory"
children=()
declare -A holder agents
finish() {
    [ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null
    [ ${#holder[@]} -eq 0 ] || kill "${holder[@]}" 2>/dev/null
    wait
    rm -rf "$scratch" "$memory"
}
trap finish EXIT
trap 'exit 1' INT TERM

await() { # TEXT DESCRIPTOR: reads what a program prints until it has said that, and goes on reading behind
    local line
    while IFS= read -r -t $patience line <&"$2"; do
        echo "$line" >>"$scratch/log"
        case $line in *"$1"*)
            cat <&"$2" >>"$scratch/log" &
            children+=($!)
            return 0
            ;;
        esac
    done
    echo "waited for \"$1\"; before:" >&2
    tail -n 40 "$scratch/log" >&2
    return 1
}

# Each side: namespaces of its own, held by a process that only waits.
for side in server client; do
    mkdir "$scratch/$side"
    mkdir -p "$tree"/{dev,proc,run,tmp,opt/ringway}
    exec {said}< <(exec unshare --net --mount --propagation private bash -c '
        mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" && mount -t tmpfs none "$1/run" &&
            mount --bind "$2" "$1/tmp" && mount --bind "$3" "$1/opt/ringway" &&
            chroot "$1" ip link set lo up && echo ready $$ && exec sleep infinity' \
        holder "$tree" "$scratch" "$built" 2>&1)
    read -r -t $patience word pid <&"$said" || word=nothing
    [ "$word" = ready ] || { say fail programs-host "no namespaces: $word $pid"; exit 1; }
    holder[$side]=$pid
done

# Inside a side's namespaces and root.
inside() { # SIDE COMMAND…
    local side=$1
    shift
    nsenter --target "${holder[$side]}" --net --mount chroot "$tree" env -i HOME=/tmp LC_ALL=C \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# The same, under the preload library; with direct=--direct programs use the ring themselves.
direct=
over() { # SIDE PORTS COMMAND…
    local side=$1 ports=() port
    for port in ${2//,/ }; do ports+=(--port "$port"); done
    shift 2
    inside "$side" timeout $patience /opt/ringway/ringway run $direct --runtime-dir "/tmp/$side" "${ports[@]}" -- "$@"
}

# A server's output goes to a descriptor of its own; it is ready when it has said TEXT.
serve() { # TEXT PORTS COMMAND…
    local text=$1
    shift
    exec {said}< <(over server "$@" 2>&1)
    children+=($!)
    await "$text" "$said"
}

# check NAME COMMAND…: the command succeeds
check() {
    local name=$1
    shift
    local lines=60
    if "$@" >"$scratch/output" 2>&1; then say pass "$name"; else
        say fail "$name"
        lines=+1
    fi
    sed 's/^/  /' "$scratch/output" | tail -n "$lines"
}

# An agent that a busy machine gives no time for seconds is asked again; what it said instead is told.
counter() { # SIDE NAME
    local text number attempt
    for attempt in 1 2 3 4 5 6; do
        text=$(inside "$1" /opt/ringway/ringway status --runtime-dir "/tmp/$1" --json)
        number=$(sed -n "s/.*\"$2\": *\\([0-9]*\\).*/\\1/p" <<<"$text" | head -n 1)
        [ -z "$number" ] || break
        echo "attempt $attempt: $1 does not say its $2, but: ${text:-nothing}" >&2
    done
    echo "${number:-0}"
}

# crosses BYTES COMMAND…: the command succeeds, and both agents have carried at least so many bytes meanwhile
crosses() {
    local bytes=$1 server client
    shift
    server=$(($(counter server bytes-in) + $(counter server bytes-out)))
    client=$(($(counter client bytes-in) + $(counter client bytes-out)))
    "$@" || return 1
    server=$(($(counter server bytes-in) + $(counter server bytes-out) - server))
    client=$(($(counter client bytes-in) + $(counter client bytes-out) - client))
    echo "payload $bytes, the agents carried $server and $client bytes" >&2
    [ "$server" -ge "$bytes" ] && [ "$client" -ge "$bytes" ]
}

no_tcp() { # PORT: without the preload library the client finds nobody there
    ! inside client bash -c "exec 3<>/dev/tcp/127.0.0.1/$1" 2>/dev/null
}

only_loopback() { [ "$(inside "$1" sh -c 'ls /sys/class/net 2>/dev/null || ip -o link | cut -d" " -f2')" = "lo:" ]; }

for side in server client; do
    [ $side = server ] && letter=a || letter=b
    exec {said}< <(inside $side /opt/ringway/ringway agent --side $letter --channels 128 --ring-size 64K --opens-a 0 \
        --section-a "file:$memory,offset=0,size=16M" --section-b "file:$memory,offset=16M,size=16M" \
        --doorbell none --runtime-dir "/tmp/$side" --group 102 --direct on 2>&1)
    children+=($!)
    agents[$side]=$said
done
await "link up" "${agents[server]}" && await "link up" "${agents[client]}" ||
    { say fail programs-host "no link"; exit 1; }
check programs-no-network-server only_loopback server
check programs-no-network-client only_loopback client

mkdir "$scratch/www" "$scratch/repositories"
head -c 100000000 /dev/urandom >"$scratch/www/large"
sum=$(sha256sum <"$scratch/www/large" | cut -d ' ' -f 1)
[ ${#sum} = 64 ] || { say fail programs-host "no sum"; exit 1; }

redis() {
    serve "Ready to accept connections" 6379 redis-server --port 6379 --save "" --dir /tmp/server || return 1
    no_tcp 6379 || return 1
    over client 6379 redis-cli set here "over the ring" || return 1
    [ "$(over client 6379 redis-cli get here)" = "over the ring" ] || return 1
    # 50 connections at once, each with 16 requests on the way.
    crosses 40000000 over client 6379 redis-benchmark -q -c 50 -P 16 -n 20000 -d 1000 -t set,get || return 1
    [ "$(over client 6379 redis-cli dbsize)" -ge 1 ]
}
check programs-redis redis

iperf() { # ARGUMENT…
    serve "Server listening" 5201 iperf3 -s -1 --forceflush || return 1
    no_tcp 5201 || return 1
    crosses 200000000 over client 5201 iperf3 -c 127.0.0.1 -n 200M -J "$@" >"$scratch/iperf.json" || {
        cat "$scratch/iperf.json"
        return 1
    }
    grep -A 8 sum_received "$scratch/iperf.json"
    ! grep '"error"' "$scratch/iperf.json"
}
check programs-iperf3 iperf
check programs-iperf3-reverse-parallel iperf -R -P 4

# In direct mode: what the agents carry does not count, but that the programs do not notice.
crosses_direct() { # COMMAND…
    local before
    before=$(counter server connections-direct)
    "$@" || return 1
    echo "direct connections: $(($(counter server connections-direct) - before))" >&2
    [ "$(counter server connections-direct)" -gt "$before" ]
}
redis_direct() {
    serve "Ready to accept connections" 6380 redis-server --port 6380 --save "" --dir /tmp/server || return 1
    no_tcp 6380 || return 1
    crosses_direct over client 6380 redis-benchmark -p 6380 -q -c 50 -P 16 -n 20000 -d 1000 -t set,get || return 1
    crosses_direct over client 6380 redis-benchmark -p 6380 -q -c 1 -n 5000 -t ping,lpush,lrange_100 || return 1
    [ "$(over client 6380 redis-cli -p 6380 dbsize)" -ge 1 ]
}
iperf_direct() { # ARGUMENT…
    serve "Server listening" 5202 iperf3 -s -1 -p 5202 --forceflush || return 1
    crosses_direct over client 5202 iperf3 -c 127.0.0.1 -p 5202 -n 200M -J "$@" >"$scratch/iperf.json" || {
        cat "$scratch/iperf.json"
        return 1
    }
    grep -A 8 sum_received "$scratch/iperf.json"
    ! grep '"error"' "$scratch/iperf.json"
}
direct=--direct
check programs-redis-direct redis_direct
check programs-iperf3-direct iperf_direct
check programs-iperf3-direct-reverse iperf_direct -R -P 4
direct=

fetch() { # PORT ARGUMENT…
    local port=$1
    shift
    [ "$(over client "$port" curl --silent --show-error --fail "$@" | sha256sum | cut -d ' ' -f 1)" = "$sum" ]
}

http_server() {
    serve "Serving HTTP" 8000 python3 -u -m http.server 8000 --bind 127.0.0.1 --directory /tmp/www || return 1
    no_tcp 8000 || return 1
    crosses 100000000 fetch 8000 http://127.0.0.1:8000/large
}
check programs-curl-python http_server

nginx_server() {
    cat >"$scratch/nginx.conf" <<'CONFIGURATION'
user root;
daemon off;
worker_processes 2;
pid /tmp/server/nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
    access_log off;
    sendfile on;
    client_body_temp_path /tmp/server/body;
    proxy_temp_path /tmp/server/proxy;
    fastcgi_temp_path /tmp/server/fastcgi;
    uwsgi_temp_path /tmp/server/uwsgi;
    scgi_temp_path /tmp/server/scgi;
    server { listen 8080; listen [::1]:8080; root /tmp/www; }
    server { listen 8081 reuseport; root /tmp/www; }
}
CONFIGURATION
    serve "start worker process " 8080,8081 nginx -c /tmp/nginx.conf || return 1
    no_tcp 8080 || return 1
    crosses 100000000 fetch 8080 http://127.0.0.1:8080/large || return 1
    # One socket for each worker.
    crosses 100000000 fetch 8081 http://127.0.0.1:8081/large || return 1
    over client 8080 curl --silent --fail --range 1000-1999 http://127.0.0.1:8080/large |
        cmp - <(tail -c +1001 "$scratch/www/large" | head -c 1000)
}
check programs-nginx nginx_server

git_daemon() {
    local work=$scratch/work
    inside server sh -c '
        git init -q /tmp/work && cd /tmp/work && head -c 20000000 /tmp/www/large >file && git add file &&
            git -c user.name=x -c user.email=x@x commit -q -m one &&
            git clone -q --bare . /tmp/repositories/one' || return 1
    serve "Ready to rumble" 9418 git daemon --verbose --export-all --base-path=/tmp/repositories || return 1
    no_tcp 9418 || return 1
    crosses 20000000 over client 9418 git clone -q git://127.0.0.1/one /tmp/client/clone || return 1
    cmp "$work/file" "$scratch/client/clone/file" && inside client git -C /tmp/client/clone fsck --full
}
check programs-git git_daemon

postgres() {
    local bin data=/tmp/server/data as="setpriv --reuid=102 --regid=102 --clear-groups"
    bin=$(inside server sh -c 'echo /usr/lib/postgresql/*/bin')
    mkdir "$scratch/server/data" && chown 102:102 "$scratch/server/data"
    inside server $as "$bin/initdb" -D $data -A trust || return 1
    # Another user than the agent's, in the agent's group.
    serve "ready to accept connections" 5432 $as "$bin/postgres" -D $data -k $data -c listen_addresses=127.0.0.1 ||
        return 1
    no_tcp 5432 || return 1
    psql() { over client 5432 "$bin/psql" -h 127.0.0.1 -U postgres -v ON_ERROR_STOP=1 -qAt "$@"; }
    psql -c "create table t as select i, repeat(md5(i::text), 30) as x from generate_series(1, 20000) i" || return 1
    crosses 19000000 psql -o /tmp/client/rows -c "select x from t order by i" || return 1
    [ "$(wc -l <"$scratch/client/rows")" = 20000 ] || return 1
    # Into the database, and the same sum there.
    crosses 19000000 psql -c "create table u (x text)" -c "\copy u from /tmp/client/rows" || return 1
    [ "$(psql -c "select count(*), sum(length(x)) from u")" = "20000|19200000" ]
}

ssh_server() {
    inside server sh -c 'mkdir -p /run/sshd && ssh-keygen -q -t ed25519 -N "" -f /tmp/server/host' || return 1
    inside client ssh-keygen -q -t ed25519 -N "" -f /tmp/client/key || return 1
    cp "$scratch/client/key.pub" "$scratch/server/keys"
    serve "Server listening on 127.0.0.1" 2222 /usr/sbin/sshd -D -e -f /dev/null -h /tmp/server/host -p 2222 \
        -o ListenAddress=127.0.0.1 -o AuthorizedKeysFile=/tmp/server/keys -o StrictModes=no -o UsePAM=no \
        -o PermitRootLogin=yes -o PidFile=none -o Subsystem="sftp internal-sftp" || return 1
    no_tcp 2222 || return 1
    local there=root@127.0.0.1 options=(-i /tmp/client/key -o StrictHostKeyChecking=no -o BatchMode=yes
        -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR) seen
    seen=$(over client 2222 ssh -p 2222 "${options[@]}" $there 'echo "$SSH_CONNECTION"' | cut -d ' ' -f 1,3,4)
    [ "$seen" = "127.0.0.1 127.0.0.1 2222" ] || return 1
    over client 2222 ssh -p 2222 "${options[@]}" $there exit 3
    [ $? = 3 ] || return 1
    crosses 100000000 over client 2222 \
        scp -q -P 2222 "${options[@]}" $there:/tmp/www/large /tmp/client/large || return 1
    [ "$(sha256sum <"$scratch/client/large" | cut -d ' ' -f 1)" = "$sum" ]
}
if [ "$tier" = long ]; then
    check programs-postgresql postgres
    check programs-ssh ssh_server
fi

# What is left when all of them are through: no channel in use but those that servers keep.
faults() { [ "$(counter server peer-faults)" = 0 ] && [ "$(counter client peer-faults)" = 0 ]; }
check programs-no-faults faults
exit $status
