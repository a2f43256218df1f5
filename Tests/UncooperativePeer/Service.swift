// SPDX-License-Identifier: Apache-2.0
import CShim
import USBIP

/// A bridge that treats one device badly, and passes every other one on from an honest service.
struct Service {
    enum Manner {
        /// Gives away a device that does not exist, and answers none of its requests, as the bridges did behind which
        /// six ports once hung.
        case mute(USBSpeed)
        /// Passes each piece of an answer on that many milliseconds later.
        case slow(Int32)
        /// Adds 65,536 to that word of a reply's header. Each reply comes from the kernel in one piece.
        case lie(Int)
    }

    let busID: BusID
    let manner: Manner
    /// Service port of the honest one.
    let port: Int

    /// Goes on until it is killed.
    func run(_ listener: Int32) -> Int32 {
        Local.serve(listener) { fd in
            guard let request = read(fd) else { return }
            switch (request, manner) {
            case (.importDevice(busID), .mute(let speed)):
                guard Local.send(fd, Operation.replyImport(record(speed))[...]) else { return }
                // Everything is taken, nothing answered.
                while !Local.receive(fd, atMost: 4096).isEmpty {}
            case (.importDevice(busID), _): pass(fd, Operation.requestImport(busID), badly: true)
            case (.importDevice(let other), _): pass(fd, Operation.requestImport(other), badly: false)
            case (.deviceList, _): pass(fd, Operation.requestDeviceList(), badly: false)
            }
        }
    }

    /// RET_SUBMIT is 3. A number of packets is changed where there are any.
    private static func change(_ bytes: inout [UInt8], _ word: Int) {
        guard bytes.count >= PDUHeader.size, bytes[3] == 3, word != 8 || bytes[35] != 0 else { return }
        bytes[4 * word + 1] &+= 1
    }

    private func read(_ fd: Int32) -> OperationRequest? {
        var decoder = RequestDecoder()
        while decoder.request == nil {
            let bytes = Local.receive(fd, atMost: decoder.needed)
            guard !bytes.isEmpty else { return nil }
            do throws(USBIPError) {
                _ = try bytes.withUnsafeBufferPointer { (all) throws(USBIPError) in
                    try decoder.feed(UnsafeRawBufferPointer(all))
                }
            } catch {
                return nil
            }
        }
        return decoder.request
    }

    private func record(_ speed: USBSpeed) -> DeviceRecord {
        DeviceRecord(
            path: "/sys/devices/mute", busID: busID, busnum: 9, devnum: 9, speed: speed, vendor: 0x1209, product: 1,
            release: 0x100, deviceClass: 0, deviceSubClass: 0, deviceProtocol: 0, configurationValue: 1,
            configurations: 1, interfaces: 0)
    }

    private func pass(_ fd: Int32, _ request: [UInt8], badly: Bool) {
        var path = "/run/ringway/port/"
        path += String(port)
        let service = Local.connect(path + ".4")
        guard service >= 0, Local.send(service, request[...]) else { return }
        if fork() == 0 {
            relay(fd, service, badly: false)
            _exit(0)
        }
        relay(service, fd, badly: badly)
    }

    private func relay(_ from: Int32, _ to: Int32, badly: Bool) {
        while true {
            var bytes = Local.receive(from, atMost: 65536)
            switch manner {
            case .slow(let delay) where badly && access("/tmp/slow", F_OK) == 0: _ = poll(nil, 0, delay)
            case .lie(let word) where badly && access("/tmp/lie", F_OK) == 0: Self.change(&bytes, word)
            default: break
            }
            guard !bytes.isEmpty, Local.send(to, bytes[...]) else { break }
        }
        shutdown(from, cs_shut_rdwr())
        shutdown(to, cs_shut_rdwr())
    }
}
