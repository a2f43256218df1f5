// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// The exporter's half of USB/IP's OP phase: one request, one answer, as `usbipd` does it. Runs in a process of
/// its own, because reading a device's attributes may wait for its lock.
struct ExportDialogue {
    let driver: ExporterDriver
    let socket: Int32
    /// For all of it.
    var milliseconds = 10_000

    /// - Returns: the device that the kernel now serves on this stream; nil when it was only a list.
    /// - Throws: what was wrong with the request, or why it was refused.
    func run() throws(Diagnostic) -> BusID? {
        let stream = StreamIO(socket, milliseconds: milliseconds)
        switch try request(stream) {
        case .deviceList:
            // As usbipd does: what is in use is not offered.
            let devices = driver.devices().filter { driver.state($0.busID) == .available && driver.refusal($0) == nil }
            try answer(stream, Operation.replyDeviceList(devices.map { $0.listed }))
            return nil
        case .importDevice(let busID):
            return try hand(busID, stream)
        }
    }

    private func request(_ stream: StreamIO) throws(Diagnostic) -> OperationRequest {
        let tried: Message = "serving a request for devices"
        var decoder = RequestDecoder()
        while true {
            if let request = decoder.request { return request }
            let bytes: [UInt8]
            do throws(StreamFailure) { bytes = try stream.receive(atMost: decoder.needed) } catch {
                throw Diagnostic(.unavailable, "\(tried.text): \(error.sentence); look at the other side's log")
            }
            do throws(USBIPError) {
                _ = try bytes.withUnsafeBufferPointer { (all) throws(USBIPError) in
                    try decoder.feed(UnsafeRawBufferPointer(all))
                }
            } catch {
                throw Diagnostic(.badProtocol, "\(tried.text): it breaks the protocol: \(error.sentence)")
            }
        }
    }

    /// The kernel gets the stream before the answer goes out, as with `usbipd`: it is ready when the first URB comes.
    private func hand(_ busID: BusID, _ stream: StreamIO) throws(Diagnostic) -> BusID {
        let status: OperationStatus
        switch driver.state(busID) {
        case nil: status = .noDevice
        case .used?: status = .busy
        case .inError?: status = .deviceError
        case .available?:
            guard let device = LocalDevice.read(busID, driver.tree) else {
                status = .noDevice
                break
            }
            if let refusal = driver.refusal(device) {
                Log.error("device \(busID.text) was asked for: \(refusal)")
                status = .noDevice
                break
            }
            let error = driver.connect(busID, socket: socket)
            if error == 0 {
                try answer(stream, Operation.replyImport(device.record))
                return busID
            }
            Log.error("handing \(busID.text) to a connection: \(systemMessage(error))")
            status = .notAvailable
        }
        try answer(stream, Operation.replyImport(status))
        throw Diagnostic(.unavailable, "device \(busID.text) was asked for and refused: \(status.sentence)")
    }

    private func answer(_ stream: StreamIO, _ bytes: [UInt8]) throws(Diagnostic) {
        do throws(StreamFailure) { try stream.send(bytes) } catch {
            throw Diagnostic(.unavailable, "answering a request for devices: \(error.sentence)")
        }
    }
}
