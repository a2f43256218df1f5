// SPDX-License-Identifier: Apache-2.0
import CShim
import USBIP

/// Gives away a device that does not exist, as the bridges did behind which six ports once hung.
struct MuteService {
    let busID: BusID
    let speed: USBSpeed
    /// Where every other device comes from.
    let port: Int

    private var record: DeviceRecord {
        DeviceRecord(
            path: "/sys/devices/mute", busID: busID, busnum: 9, devnum: 9, speed: speed, vendor: 0x1209, product: 0x0001,
            release: 0x100, deviceClass: 0, deviceSubClass: 0, deviceProtocol: 0, configurationValue: 1, configurations: 1,
            interfaces: 0)
    }

    func run(_ listener: Int32) -> Int32 {
        Local.serve(listener) { fd in
            var decoder = RequestDecoder()
            while decoder.request == nil {
                let bytes = Local.receive(fd, atMost: decoder.needed)
                guard !bytes.isEmpty else { return }
                do throws(USBIPError) {
                    _ = try bytes.withUnsafeBufferPointer { (all) throws(USBIPError) in
                        try decoder.feed(UnsafeRawBufferPointer(all))
                    }
                } catch {
                    return
                }
            }
            switch decoder.request {
            case .importDevice(let wanted)? where wanted != busID:
                SlowService(milliseconds: 0, port: port).pass(fd, first: Operation.requestImport(wanted))
            case .importDevice?:
                guard Local.send(fd, Operation.replyImport(record)[...]) else { return }
                // Everything is taken, nothing answered.
                while !Local.receive(fd, atMost: 4096).isEmpty {}
            default: _ = Local.send(fd, Operation.replyDeviceList([ListedDevice(record: record, interfaces: [])])[...])
            }
        }
    }
}
