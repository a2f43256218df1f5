// SPDX-License-Identifier: Apache-2.0

/// The shell scripts by which the rig configures and drives Ringway's agent in a guest.
struct AgentSetup {
    let role: GuestRole
    let setup: GuestSetup

    /// Loads or unloads the UIO driver, and writes /etc/ringway/ringway.conf.
    var configure: String {
        let driver: String
        let sections: (a: String, b: String)
        switch setup.section {
        case .uio:
            driver = "load ringway_uio || exit"
            sections = ("uio:ringway,map=1,offset=0,size=8M", "uio:ringway,map=1,offset=8M,size=8M")
        case .window:
            driver = "load ringway_uio || exit"
            sections = ("uio:ringway,map=0,offset=0,size=2M", "uio:ringway,map=0,offset=2M,size=2M")
        case .connection:
            driver = "load connection || exit"
            let (a, b) = role == .exporter ? ("out", "in") : ("in", "out")
            sections = ("uio:\(a),map=1", "uio:\(b),map=1")
        case .oneWay:
            driver = Self.doorbellOnly
            let (own, other) = (OneWaySections.ownSlot, OneWaySections.peerSlot)
            let (a, b) = role == .exporter ? (own, other) : (other, own)
            sections = ("pci:0000:00:\(a).0,bar=2,size=8M", "pci:0000:00:\(b).0,bar=2,size=8M")
        case .node:
            driver = "load ringway_uio || exit"
            sections = ("uio:ringway,map=0,offset=0,size=8M", "uio:ringway,map=0,offset=8M,size=8M")
        case .pci:
            driver = Self.withoutDriver
            sections = ("pci:$slot,bar=2,offset=0,size=8M", "pci:$slot,bar=2,offset=8M,size=8M")
        case .devmem:
            driver = Self.withoutDriver
            sections = ("devmem:$(printf 0x%x $((base))),size=8M", "devmem:$(printf 0x%x $((base + 0x800000))),size=8M")
        }
        return """
            \(driver)
            mkdir -p /etc/ringway
            cat >/etc/ringway/ringway.conf <<END
            side = \(role == .exporter ? "a" : "b")
            section-a = \(sections.a)
            section-b = \(sections.b)
            doorbell = \(doorbell)
            \(geometry)
            END
            ringway config check
            """
    }

    private var doorbell: String {
        guard setup.effectiveDoorbell == .uio else { return "none" }
        return setup.section == .connection ? "connection:in,ring=out" : "uio:ringway"
    }

    /// The importer opens most of the channels.
    private var geometry: String {
        let isSmall = setup.section == .window || setup.section == .connection
        switch setup.rings ?? (isSmall ? .many : nil) {
        case nil: return ""
        case .many?: return "channels = 14\nring-size = 128K\nopens-a = 4"
        case .large?: return "channels = 7\nring-size = 256K\nopens-a = 2"
        }
    }

    /// A driver that claims the memory shuts out everybody else; without one, the device has to be switched on.
    private static let withoutDriver = """
        grep -q '^ringway_uio ' /proc/modules && { rmmod ringway_uio || exit; }
        for device in /sys/bus/pci/devices/*; do
            [ "$(cat $device/vendor)$(cat $device/device)" = 0x1af40x1110 ] && break
        done
        echo 1 >$device/enable || exit
        slot=${device##*/}
        base=$(sed -n '3s/ .*//p' $device/resource)
        """

    /// The sections' devices stay without a driver and are switched on; the third one's is for the doorbell.
    private static let doorbellOnly = """
        for slot in \(OneWaySections.ownSlot) \(OneWaySections.peerSlot); do
            echo none >/sys/bus/pci/devices/0000:00:$slot.0/driver_override || exit
            echo 1 >/sys/bus/pci/devices/0000:00:$slot.0/enable || exit
        done
        load ringway_uio || exit
        """

    /// Starts the agent as a daemon would be, and waits until it answers.
    static let start = """
        setsid ringway agent --config /etc/ringway/ringway.conf </dev/null >>/tmp/agent.log 2>&1 &
        wait_for 10 ringway status >/dev/null || { tail -n 5 /tmp/agent.log; exit 1; }
        """

    /// Ends all of the agent's processes as a crash would (KILL), or as an administrator does (TERM).
    static func end(signal: String) -> String {
        """
        agents=$(pidof ringway) || fail "no agent runs"
        kill -\(signal) $agents
        gone() { ! pidof ringway >/dev/null; }
        wait_for 10 gone
        """
    }

    static func waitForLink(seconds: Int) -> String {
        """
        is_up() { ringway status | grep '^link: up$'; }
        wait_for \(seconds) is_up >/dev/null && exit 0
        ringway status
        tail -n 5 /tmp/agent.log
        exit 1
        """
    }

    /// What to look at after a failure.
    static let diagnosis = """
        echo '--- agent log'; tail -n 12 /tmp/agent.log 2>/dev/null
        echo '--- ringway status'; ringway status 2>&1
        echo '--- usbip ports'; grep -v ' 004 ' /sys/devices/platform/vhci_hcd.0/status 2>/dev/null
        echo '--- processes'; ps -o pid,stat,args | grep -v '\\[.*\\]$' | tail -n 20
        echo '--- kernel'; dmesg | tail -n 15
        """
}
