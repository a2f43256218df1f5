// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// The importer's half of USB/IP's OP phase, on a stream to port 3240 of the peer.
enum ImportDialogue {
    static let port: UInt16 = 3240
    static let timeLimitMilliseconds = 10_000

    /// What the peer offers.
    /// - Throws: 69 when it does not answer, 76 when what it sends breaks the protocol.
    static func deviceList(
        _ agent: AgentClient, milliseconds: Int = timeLimitMilliseconds
    ) throws(Diagnostic) -> [ListedDevice] {
        let tried = "listing the peer's devices"
        let connection = try agent.connect(port: port)
        defer { close(connection.socket) }
        let stream = StreamIO(connection.socket, milliseconds: milliseconds)
        var decoder = DeviceListDecoder()
        var devices: [ListedDevice] = []
        try send(Operation.requestDeviceList(), stream, tried)
        while !decoder.isFinished {
            let bytes = try receive(stream, atMost: 4096, tried)
            do throws(USBIPError) {
                _ = try bytes.withUnsafeBufferPointer { (all) throws(USBIPError) in
                    try decoder.feed(UnsafeRawBufferPointer(all))
                }
                while let device = decoder.next() { devices.append(device) }
            } catch {
                throw broken(error, tried)
            }
        }
        return devices
    }

    /// Asks for a device; from then on the stream carries its URBs.
    /// - Throws: 69 when it is refused or not answered, 76 when what comes breaks the protocol.
    static func request(
        _ busID: BusID, _ socket: Int32, milliseconds: Int = timeLimitMilliseconds
    ) throws(Diagnostic) -> DeviceRecord {
        let tried = compose("importing \(busID.text)")
        let stream = StreamIO(socket, milliseconds: milliseconds)
        var decoder = ImportReplyDecoder(expecting: busID)
        try send(Operation.requestImport(busID), stream, tried)
        while !decoder.isFinished {
            // No byte beyond the answer is read: what follows is the kernel's.
            let bytes = try receive(stream, atMost: decoder.needed, tried)
            do throws(USBIPError) {
                _ = try bytes.withUnsafeBufferPointer { (all) throws(USBIPError) in
                    try decoder.feed(UnsafeRawBufferPointer(all))
                }
            } catch {
                throw broken(error, tried)
            }
        }
        switch decoder.outcome {
        case .success(let record)?:
            return record
        case .refused(let status)?:
            // The kernel there needs a moment to let go of a device that was just detached; usbipd says 1 for it.
            let mayPass = status == OperationStatus.busy.rawValue || status == OperationStatus.notAvailable.rawValue
            throw Diagnostic(
                .unavailable, "\(tried): the peer refused: \(OperationStatus.sentence(of: status))", mayPass: mayPass)
        case nil:
            throw Diagnostic(.badProtocol, "\(tried): the peer's answer was cut short; look at the other side's log")
        }
    }

    private static func send(_ bytes: [UInt8], _ stream: StreamIO, _ tried: String) throws(Diagnostic) {
        do throws(StreamFailure) { try stream.send(bytes) } catch { throw unanswered(error, tried) }
    }

    private static func receive(_ stream: StreamIO, atMost limit: Int, _ tried: String) throws(Diagnostic) -> [UInt8] {
        do throws(StreamFailure) { return try stream.receive(atMost: limit) } catch { throw unanswered(error, tried) }
    }

    private static func unanswered(_ failure: StreamFailure, _ tried: String) -> Diagnostic {
        Diagnostic(.unavailable, "\(tried): \(failure.sentence); look at the other side's log")
    }

    private static func broken(_ error: USBIPError, _ tried: String) -> Diagnostic {
        Diagnostic(.badProtocol, "\(tried): the peer's answer breaks the protocol: \(error.sentence)")
    }
}
