// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// The exporter's listeners and streams. Importers find it on port 3240; on port 3241 it says that something has
/// changed, by one byte each time, so that nobody needs to ask all the time.
final class ExportService {
    static let announcementPort: UInt16 = 3241
    static let maximumListeners = 8
    /// How often a port is tried that another program has: to ask is to connect to that program.
    static let retryMicroseconds: UInt64 = 2_000_000

    /// A connection that an importer made.
    final class Stream {
        let socket: Int32
        /// The device that the kernel serves on it.
        var busID: BusID?

        init(socket: Int32) { self.socket = socket }
    }

    /// A device that is exported, and the rule that says so.
    final class Exported {
        let busID: BusID
        var rule: String

        init(_ busID: BusID, _ rule: String) {
            self.busID = busID
            self.rule = rule
        }
    }

    var service: Int32 = -1
    var announcements: Int32 = -1
    var listeners: [Int32] = []
    var streams: [Stream] = []
    private(set) var exported: [Exported] = []
    private var isRefused = false
    /// When to see next whether the program that has the port has ended.
    private var listenAt: UInt64 = 0

    /// Milliseconds until `tend` has something to do; -1 when only an event brings it.
    func timeout(wanted: Bool) -> Int32 { wanted && service < 0 ? Clock.millisecondsUntil(listenAt) : -1 }

    /// Listens as long as there are rules.
    func tend(directory: String, wanted: Bool) {
        if wanted {
            if service < 0, Clock.millisecondsUntil(listenAt) == 0 {
                service = listen(directory, ImportDialogue.port)
                listenAt = service < 0 ? Clock.microseconds() &+ Self.retryMicroseconds : 0
            }
            if service >= 0, announcements < 0 { announcements = listen(directory, Self.announcementPort) }
            return
        }
        listenAt = 0
        stopListening(&service, directory, ImportDialogue.port)
        stopListening(&announcements, directory, Self.announcementPort)
    }

    private static func path(_ directory: String, _ port: UInt16) -> String {
        compose("\(directory)/port/\(port).4")
    }

    private func listen(_ directory: String, _ port: UInt16) -> Int32 {
        let socket = LocalSocket.listen(Self.path(directory, port))
        if socket < 0, !isRefused {
            isRefused = true
            Log.error(
                "serving port \(port) to the peer: \(systemMessage(cs_errno())); a program under `ringway run` has it, "
                    + "and exports what it wants to")
        }
        if socket >= 0 { isRefused = false }
        return socket
    }

    private func stopListening(_ socket: inout Int32, _ directory: String, _ port: UInt16) {
        guard socket >= 0 else { return }
        _ = Self.path(directory, port).withCString { unlink($0) }
        close(socket)
        socket = -1
    }

    // MARK: Devices

    /// - Returns: whether that is news.
    func note(_ busID: BusID, rule: String) -> Bool {
        if let index = exported.firstIndex(where: { $0.busID == busID }) {
            exported[index].rule = rule
            return false
        }
        exported.append(Exported(busID, rule))
        return true
    }

    func forget(_ busID: BusID) { exported.removeAll { $0.busID == busID } }

    /// Bus ids that a rule has exported, or that a bus id names itself.
    func devices(of rule: DeviceRule) -> [BusID] {
        if case .busID(let busID) = rule.kind { return [busID] }
        return exported.filter { $0.rule == rule.text }.map { $0.busID }
    }

    // MARK: Streams

    func note(stream socket: Int32, carries busID: BusID) {
        for i in streams.indices where streams[i].socket == socket { streams[i].busID = busID }
    }

    /// The dialogue on it is over; without a device it has no more use.
    func dropUnused(_ socket: Int32) {
        guard let index = streams.firstIndex(where: { $0.socket == socket && $0.busID == nil }) else { return }
        streams.remove(at: index)
        close(socket)
    }

    /// - Returns: the device that it carried.
    func drop(_ socket: Int32) -> BusID? {
        guard let index = streams.firstIndex(where: { $0.socket == socket }) else { return nil }
        let stream = streams.remove(at: index)
        close(socket)
        return stream.busID
    }

    /// Ends a device's connection for both kernels: the way to get a device back that is in use.
    func closeStreams(of busID: BusID) {
        for stream in streams {
            if let carried = stream.busID, carried == busID { shutdown(stream.socket, cs_shut_rdwr()) }
        }
    }

    // MARK: Announcements

    func acceptListener() {
        let socket = cs_accept(announcements)
        guard socket >= 0 else { return }
        if listeners.count < Self.maximumListeners { listeners.append(socket) } else { close(socket) }
    }

    /// A listener says nothing: if there is something to read it is its end.
    func dropListener(_ socket: Int32) {
        listeners.removeAll { $0 == socket }
        close(socket)
    }

    /// Something has changed. A listener that does not read knows already that it has to look.
    func announce() {
        var byte: UInt8 = 0x2E
        for socket in listeners { _ = send(socket, &byte, 1, cs_msg_dontwait() | cs_msg_nosignal()) }
    }
}
