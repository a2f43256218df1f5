// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// The operation phase, byte for byte.
struct OperationLayoutTests {
    @Test("each message has the bytes of the protocol's document")
    func messages() {
        #expect(Operation.requestDeviceList() == Sample.requestList)
        #expect(Operation.requestImport(Sample.busID) == Sample.requestImport)
        #expect(Operation.replyImport(Sample.record) == Sample.replyImport)
        #expect(Operation.replyImport(.notAvailable) == bytes("01 11 00 03 00 00 00 01"))
        #expect(Operation.replyDeviceList(Sample.listDevices) == Sample.list)
        #expect(Operation.replyDeviceList([]) == bytes("01 11 00 05 00 00 00 00 00 00 00 00"))
        #expect(Operation.replyDeviceList(.error) == bytes("01 11 00 05 00 00 00 05"))
    }

    @Test("a refusal never announces what does not follow")
    func refusalsAreNoPromises() {
        #expect(Operation.replyImport(.ok) == bytes("01 11 00 03 00 00 00 05"))
        #expect(Operation.replyDeviceList(.ok) == bytes("01 11 00 05 00 00 00 05"))
    }

    @Test("a device's record has the fields where the document has them")
    func record() throws {
        #expect(Sample.recordBytes.count == 312 && DeviceRecord.size == 312)
        #expect(Sample.record.encode() == Sample.recordBytes)
        #expect(try DeviceRecord(decoding: Sample.recordBytes) == Sample.record)
        #expect(Sample.record.devid == 0x0003_0002)
        #expect(Sample.record.path == Sample.path)
    }

    @Test("an interface's record; its padding is sent as 0 and not read")
    func interface() throws {
        #expect(Sample.interfaces[0].encode() == bytes("08 06 50 00"))
        #expect(try InterfaceRecord(decoding: bytes("08 06 50 FF")) == Sample.interfaces[0])
    }

    @Test("the numbers of codes, statuses and speeds are the kernel's")
    func numbers() {
        let codes: [OperationCode] = [.requestImport, .replyImport, .requestDeviceList, .replyDeviceList]
        #expect(codes.map(\.rawValue) == [0x8003, 0x0003, 0x8005, 0x0005])
        let statuses: [OperationStatus] = [.ok, .notAvailable, .busy, .deviceError, .noDevice, .error]
        #expect(statuses.map(\.rawValue) == [0, 1, 2, 3, 4, 5])
        let speeds: [USBSpeed] = [.unknown, .low, .full, .high, .wireless, .super, .superPlus]
        #expect(speeds.map(\.rawValue) == [0, 1, 2, 3, 4, 5, 6])
        #expect(USBIPProtocol.version == 0x0111)
    }

    @Test("what is too much to list is left out, and the counts say what follows")
    func encodersKeepTheBounds() throws {
        let many = ListedDevice(record: Sample.record, interfaces: Array(repeating: Sample.interfaces[0], count: 40))
        #expect(many.encode().count == 312 + 32 * 4)
        #expect(many.encode()[311] == 32)
        let reply = Operation.replyDeviceList(Array(repeating: Sample.bare, count: 1030))
        #expect(reply.count == 12 + 1024 * 312)
        #expect(Array(reply[8..<12]) == bytes("00 00 04 00"))
    }
}
