# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What every script of the command channel, and a shell on the console, can use.

# Says why on stderr and ends the script.
fail() {
    echo "$*" >&2
    exit 1
}

# wait_for SECONDS COMMAND...: repeats the command until it succeeds; fails, with its last words, when the time is up.
wait_for() {
    _end=$(($(sed 's/\..*//' /proc/uptime) + $1))
    shift
    until _words=$("$@" 2>&1); do
        if [ "$(sed 's/\..*//' /proc/uptime)" -ge "$_end" ]; then
            echo "waited in vain for: $*${_words:+ ($_words)}" >&2
            return 1
        fi
        usleep 100000
    done
    [ -z "$_words" ] || echo "$_words"
}

# load MODULE...: loads kernel modules; on failure says what the kernel said.
load() {
    for _module in "$@"; do
        if ! _words=$(modprobe "$_module" 2>&1); then
            echo "the module $_module does not load: $_words" >&2
            dmesg | tail -n 5 >&2
            return 1
        fi
    done
}

# usb_busid VENDOR:PRODUCT: the bus id of the first such USB device (hubs of the machine itself left out).
usb_busid() {
    for _device in /sys/bus/usb/devices/*-*; do
        [ -f "$_device/idVendor" ] || continue
        if [ "$(cat "$_device/idVendor"):$(cat "$_device/idProduct")" = "$1" ]; then
            basename "$_device"
            return 0
        fi
    done
    echo "there is no USB device $1" >&2
    return 1
}

_usb_disk() {
    for _block in /sys/block/sd*; do
        case $(readlink -f "$_block") in
            */usb[0-9]*/*) ;;
            *) continue ;;
        esac
        [ "$(cat "$_block/size")" -gt 0 ] && [ -b "/dev/${_block##*/}" ] || continue
        echo "/dev/${_block##*/}"
        return 0
    done
    return 1
}

# usb_disk [SECONDS]: waits for a disk with a medium on a USB device, and prints its node.
usb_disk() {
    wait_for "${1:-30}" _usb_disk
}

# usb_serial NUMBER: the bus id of the USB device with that serial number.
usb_serial() {
    for _device in /sys/bus/usb/devices/*-*; do
        [ -f "$_device/serial" ] && [ "$(cat "$_device/serial")" = "$1" ] || continue
        basename "$_device"
        return 0
    done
    echo "there is no USB device with the serial number $1" >&2
    return 1
}

_disk_of() {
    _busid=$(usb_serial "$1") || return 1
    for _block in /sys/block/sd*; do
        case $(readlink -f "$_block") in
            */"$_busid"/*) ;;
            *) continue ;;
        esac
        [ "$(cat "$_block/size")" -gt 0 ] && [ -b "/dev/${_block##*/}" ] || continue
        echo "/dev/${_block##*/}"
        return 0
    done
    echo "the USB device $1 is no disk" >&2
    return 1
}

# disk_of NUMBER [SECONDS]: waits for the disk on the USB device with that serial number, and prints its node.
disk_of() {
    wait_for "${2:-30}" _disk_of "$1"
}

_input_of() {
    _busid=$(usb_serial "$1") || return 1
    for _event in /sys/class/input/event*; do
        case $(readlink -f "$_event") in
            */"$_busid"/*) ;;
            *) continue ;;
        esac
        [ -c "/dev/input/${_event##*/}" ] || continue
        echo "/dev/input/${_event##*/}"
        return 0
    done
    echo "the USB device $1 is no input device" >&2
    return 1
}

# input_of NUMBER [SECONDS]: waits for the input device on the USB device with that serial number, and prints its node.
input_of() {
    wait_for "${2:-30}" _input_of "$1"
}

# gadget_disk NAME MIB NUMBER [SPEED]: a USB disk without hardware, of new random content, which is kept in
# /tmp/NAME.img: a gadget on the dummy controller of that number. SPEED is high-speed unless given, or super-speed.
gadget_disk() {
    [ -d /sys/kernel/config/usb_gadget ] || mount -t configfs configfs /sys/kernel/config || return
    dd if=/dev/urandom of="/tmp/$1.img" bs=1M count="$2" 2>/dev/null || return
    _gadget=/sys/kernel/config/usb_gadget/$1
    mkdir "$_gadget" && mkdir "$_gadget/strings/0x409" "$_gadget/configs/c.1" \
        "$_gadget/functions/mass_storage.0" || return
    echo 0x0525 >"$_gadget/idVendor" && echo 0xa4a5 >"$_gadget/idProduct" || return
    echo "${4:-high-speed}" >"$_gadget/max_speed" && echo "$1" >"$_gadget/strings/0x409/serialnumber" || return
    echo "/tmp/$1.img" >"$_gadget/functions/mass_storage.0/lun.0/file" || return
    ln -s "$_gadget/functions/mass_storage.0" "$_gadget/configs/c.1" || return
    echo "dummy_udc.$3" >"$_gadget/UDC"
}

# uptime_now: seconds since the guest's boot, with two decimals.
uptime_now() {
    cut -d ' ' -f 1 /proc/uptime
}

# timed NAME COMMAND...: notes in /tmp/times when the command began and ended, if it succeeded; else says so.
timed() {
    _name=$1
    shift
    _began=$(uptime_now)
    "$@" || { echo "$_name failed with status $? after $_began to $(uptime_now)"; return 1; }
    echo "$_name $_began $(uptime_now)" >>/tmp/times
}

_descriptors() {
    _pids=$(pidof ringway | tr ' ' '\n' | sort -n | tr '\n' ' ')
    # A third process is one that does a single job and ends.
    [ "$(echo "$_pids" | wc -w)" = 2 ] || return 1
    for _pid in $_pids; do
        find "/proc/$_pid/fd" -type l 2>/dev/null | wc -l
    done | tr '\n' ' ' | sed 's/ $//'
}

# descriptors: how many file descriptors each of the agent's two processes has open, in the order of their start, as
# soon as that stays the same for a moment.
descriptors() {
    _last=
    until _now=$(_descriptors) && [ "$_now" = "$_last" ]; do
        _last=$_now
        usleep 300000
    done
    echo "$_now"
}

# descriptors_are TEXT: whether `descriptors` prints this.
descriptors_are() {
    descriptors
    [ "$_now" = "$1" ]
}

# no_channels: whether the agent has no channel in use.
no_channels() {
    ! ringway status | grep '^channel'
}

# no_ports: whether no port of the importer's virtual controller is in use.
no_ports() {
    ! grep ' 00[567] ' /sys/devices/platform/vhci_hcd.0/status
}

# usb_of NODE: the directory of the USB device that a disk's node belongs to.
usb_of() {
    _path=$(readlink -f "/sys/class/block/${1##*/}")
    while [ -n "$_path" ] && [ ! -f "$_path/urbnum" ]; do _path=${_path%/*}; done
    [ -n "$_path" ] || fail "$1 is on no USB device"
    echo "$_path"
}

# counted NAME: by how much a counter of `ringway status` grew from /tmp/before to /tmp/after.
counted() {
    awk -v name="$1:" '$1 == name { if (FNR == NR) before = $2; else print $2 - before }' /tmp/before /tmp/after
}
