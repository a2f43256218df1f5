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
