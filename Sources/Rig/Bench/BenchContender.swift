// SPDX-License-Identifier: Apache-2.0

/// A way for a USB device from the exporter to the importer. Each has a disk of its own, all of one kind.
enum BenchContender: String, Codable, Sendable, CaseIterable {
    /// The agents, as they are.
    case ring
    /// The same agents and rings, at a service port on which no guard stands.
    case unguarded
    /// Debian's usbip and usbipd over TCP, on virtio network cards.
    case tcp

    /// The disk's name and serial number.
    var disk: String { "bench-\(rawValue)" }

    /// The other service port; usbipd listens there under `ringway run`.
    private static let otherPort = 3250

    /// Bound to usbip-host, and offered: `$busid` is the disk's.
    private var export: String {
        switch self {
        case .ring: "ringway export $busid"
        case .unguarded:
            "usbip bind -b $busid && ringway run --port \(Self.otherPort) -- usbipd -D -t \(Self.otherPort)"
        case .tcp: "usbip bind -b $busid && { pidof usbipd >/dev/null || usbipd -D; }"
        }
    }

    /// A script of the exporter, which prints the bus id.
    var exportScript: String {
        """
        disk_of \(disk) >/dev/null && \(exportScript(of: disk))
        """
    }

    /// The same of any device, by its serial number.
    func exportScript(of serial: String) -> String {
        """
        busid=$(wait_for 20 usb_serial \(serial)) || exit
        { \(export); } >/tmp/export.log 2>&1 || { cat /tmp/export.log; exit 1; }
        echo $busid
        """
    }

    private func attach(_ busID: String) -> String {
        switch self {
        case .ring: "ringway attach \(busID) --wait 30"
        case .unguarded:
            "wait_for 20 ringway run --port \(Self.otherPort) -- usbip --tcp-port \(Self.otherPort) "
                + "attach -r 127.0.0.1 -b \(busID)"
        case .tcp: "wait_for 20 usbip attach -r \(MachineNetwork.address(of: .exporter)) -b \(busID)"
        }
    }

    /// A script of the importer, which prints the disk's node, the USB device's, and the directory of the latter.
    func attachScript(_ busID: String) -> String {
        """
        \(attach(busID)) >/tmp/attach.log 2>&1 || { cat /tmp/attach.log; exit 1; }
        node=$(disk_of \(disk)) && usb=$(usb_of $node) || exit
        printf '%s /dev/bus/usb/%03d/%03d %s\\n' $node $(cat $usb/busnum) $(cat $usb/devnum) $usb
        """
    }

    /// The same of any device: prints the USB device's node, and its directory.
    func attachScript(_ busID: String, of serial: String) -> String {
        """
        \(attach(busID)) >/tmp/attach.log 2>&1 || { cat /tmp/attach.log; exit 1; }
        local=$(wait_for 20 usb_serial \(serial)) || exit
        usb=/sys/bus/usb/devices/$local
        printf '/dev/bus/usb/%03d/%03d %s\\n' $(cat $usb/busnum) $(cat $usb/devnum) $usb
        """
    }

    /// A script of the importer that lets a device go, by its serial number.
    static func detachScript(of serial: String) -> String {
        """
        busid=$(usb_serial \(serial)) || exit
        port=$(ringway port --json | tr '{' '\\n' | grep "\\"local-busid\\":\\"$busid\\"" \
        | sed 's/.*"port":\\([0-9]*\\).*/\\1/')
        ringway detach $port
        """
    }

    /// A script of the exporter that takes back what `ringway export` has offered, once it is let go.
    static func unexportScript(_ busID: String) -> String {
        """
        wait_for 20 grep -qx 1 /sys/bus/usb/devices/\(busID)/usbip_status && ringway unexport \(busID)
        """
    }
}
