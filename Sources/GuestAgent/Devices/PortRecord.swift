// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// What this guest remembers of a port that it attached: vhci itself does not say which remote device it is. One file
/// a port, in `vhci/` of the runtime directory.
final class PortRecord {
    let busID: BusID
    let identity: String
    let devid: UInt32
    /// The channel that carries it.
    let channel: UInt32
    /// The rule that attached it; "-" when a user did.
    let rule: String

    init(busID: BusID, identity: String, devid: UInt32, channel: UInt32, rule: String) {
        self.busID = busID
        self.identity = identity
        self.devid = devid
        self.channel = channel
        self.rule = rule
    }

    private static func path(_ directory: String, _ port: Int) -> String { compose("\(directory)/vhci/\(port)") }

    /// Stock `usbip` has a record of its own for each port that it attached, for `usbip port`. It stays behind when
    /// anybody else detaches the port: then it would speak of the next device there. So while there is one, stock
    /// `usbip` attached the port.
    private static func stockPath(_ port: Int) -> String { compose("/var/run/vhci_hcd/port\(port)") }

    /// - Returns: nil when there is none, or one of an earlier device.
    static func read(_ directory: String, _ port: ImporterPort) -> PortRecord? {
        guard port.state != .free, !FileSystem.exists(stockPath(port.number)),
            let text = FileSystem.read(path(directory, port.number))
        else { return nil }
        let words = text.head(before: "\n").words
        guard words.count == 5, let busID = BusID(words[0]), let devid = unsigned(words[2]),
            let channel = unsigned(words[3])
        else { return nil }
        // The kernel says the device id in this state only.
        if port.state == .used, UInt64(port.devid) != devid { return nil }
        return PortRecord(
            busID: busID, identity: words[1], devid: UInt32(truncatingIfNeeded: devid),
            channel: UInt32(truncatingIfNeeded: channel), rule: words[4])
    }

    func write(_ directory: String, _ port: Int) {
        _ = Self.stockPath(port).withCString { unlink($0) }
        _ = (directory + "/vhci").withCString { mkdir($0, 0o755) }
        _ = FileSystem.replace(
            Self.path(directory, port), compose("\(busID.text) \(identity) \(devid) \(channel) \(rule)\n"))
    }

    static func remove(_ directory: String, _ port: Int) {
        _ = stockPath(port).withCString { unlink($0) }
        _ = path(directory, port).withCString { unlink($0) }
    }
}
