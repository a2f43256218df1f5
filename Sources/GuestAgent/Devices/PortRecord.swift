// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// What this guest remembers of a port that it attached: vhci itself does not say which remote device it is. One file
/// a port, in `vhci/` of the runtime directory.
struct PortRecord {
    let busID: BusID
    let identity: String
    let devid: UInt32
    /// The channel that carries it.
    let channel: UInt32
    /// The rule that attached it; "-" when a user did.
    let rule: String

    private static func path(_ directory: String, _ port: Int) -> String { compose("\(directory)/vhci/\(port)") }

    /// - Returns: nil when there is none, or one of an earlier device.
    static func read(_ directory: String, _ port: ImporterPort) -> PortRecord? {
        guard port.state != .free, let text = FileSystem.read(path(directory, port.number)) else { return nil }
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
        _ = (directory + "/vhci").withCString { mkdir($0, 0o755) }
        _ = FileSystem.replace(
            Self.path(directory, port), compose("\(busID.text) \(identity) \(devid) \(channel) \(rule)\n"))
    }

    static func remove(_ directory: String, _ port: Int) {
        _ = path(directory, port).withCString { unlink($0) }
    }
}
