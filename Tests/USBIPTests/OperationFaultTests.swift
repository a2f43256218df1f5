// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// What a peer must not send in the operation phase.
struct OperationFaultTests {
    /// Feeds a message that must fail, whole and byte by byte; the error must be the same, and stay.
    private func expect(_ error: USBIPError, of message: [UInt8], _ decoder: () -> some StreamDecoder) {
        for size in [1, 4096] {
            var faulty = decoder()
            #expect(throws: error) { try faulty.feed(message, by: size) }
            #expect(throws: error) { try faulty.feed(Sample.requestList, by: size) }
            #expect(throws: error) { try faulty.finish() }
            #expect(!faulty.isFinished)
        }
        #expect(error.sentence.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        #expect(error.sentence.utf8.count > 20)
    }

    @Test("bad requests")
    func requests() {
        let good = Sample.requestImport
        let cases: [(USBIPError, [UInt8])] = [
            (.version(0x0106), good.replacing(at: 0, with: "01 06")),
            (.version(0), good.replacing(at: 0, with: "00 00")),
            (.unknownCode(0x8002), good.replacing(at: 2, with: "80 02")),
            (.unknownCode(0), good.replacing(at: 2, with: "00 00")),
            (.unexpectedCode(.replyImport, expected: nil), Sample.replyImport),
            (.unexpectedCode(.replyDeviceList, expected: nil), Sample.list),
            (.requestStatus(1), good.replacing(at: 4, with: "00 00 00 01")),
            (.requestStatus(0xFFFF_FFFF), Sample.requestList.replacing(at: 4, with: "FF FF FF FF")),
            (.badBusID(field: zeros(32)), good.replacing(at: 8, with: "00 00 00")),
        ]
        for (error, message) in cases { expect(error, of: message) { RequestDecoder() } }
    }

    @Test("bad replies to an import")
    func importReplies() {
        let good = Sample.replyImport
        let cases: [(USBIPError, [UInt8])] = [
            (.version(0x1101), good.replacing(at: 0, with: "11 01")),
            (.unknownCode(0x0004), good.replacing(at: 2, with: "00 04")),
            (.unexpectedCode(.requestImport, expected: .replyImport), Sample.requestImport),
            (.unexpectedCode(.replyDeviceList, expected: .replyImport), Sample.list),
            (.deviceNumbers(busnum: 0x10000, devnum: 2), good.replacing(at: 8 + 288, with: "00 01 00 00")),
            (.deviceNumbers(busnum: 3, devnum: 0xFFFF_FFFF), good.replacing(at: 8 + 292, with: "FF FF FF FF")),
            (.unknownSpeed(7), good.replacing(at: 8 + 296, with: "00 00 00 07")),
            (.unknownSpeed(0xFFFF_FFFF), good.replacing(at: 8 + 296, with: "FF FF FF FF")),
            (.tooManyInterfaces(33), good.replacing(at: 8 + 311, with: "21")),
            (.tooManyInterfaces(255), good.replacing(at: 8 + 311, with: "FF")),
            (.otherDevice(BusID("3-9")!, expected: Sample.busID), good.replacing(at: 8 + 258, with: "39")),
        ]
        for (error, message) in cases { expect(error, of: message) { ImportReplyDecoder(expecting: Sample.busID) } }
    }

    @Test("bad lists of devices")
    func lists() {
        let good = Sample.list
        let cases: [(USBIPError, [UInt8])] = [
            (.version(0x0211), good.replacing(at: 0, with: "02 11")),
            (.unexpectedCode(.requestDeviceList, expected: .replyDeviceList), Sample.requestList),
            (.unexpectedCode(.replyImport, expected: .replyDeviceList), Sample.replyImport),
            (.listRefused(status: 5), good.replacing(at: 4, with: "00 00 00 05")),
            (.listRefused(status: 77), good.replacing(at: 4, with: "00 00 00 4D")),
            (.tooManyDevices(1025), good.replacing(at: 8, with: "00 00 04 01")),
            (.tooManyDevices(0xFFFF_FFFF), good.replacing(at: 8, with: "FF FF FF FF")),
            (.tooManyInterfaces(33), good.replacing(at: 12 + 311, with: "21")),
        ]
        for (error, message) in cases { expect(error, of: message) { DeviceListDecoder() } }
    }

    @Test("devices in front of a fault can still be taken")
    func devicesBeforeAFault() {
        var decoder = DeviceListDecoder()
        let message = Sample.list.replacing(at: 12 + 320 + 296, with: "00 00 00 09")
        #expect(throws: USBIPError.unknownSpeed(9)) { try decoder.feed(message, by: 4096) }
        #expect(decoder.next() == Sample.listed)
        #expect(decoder.next() == nil)
    }

    @Test("as many devices and interfaces as are allowed")
    func largest() throws {
        let interfaces = Array(repeating: Sample.interfaces[1], count: 32)
        var device = ListedDevice(record: Sample.record, interfaces: interfaces)
        device.record.interfaces = 32
        let list = Array(repeating: device, count: 1024)
        let message = Operation.replyDeviceList(list)
        var decoder = DeviceListDecoder()
        #expect(try decoder.feed(message, by: 1000) == message.count)
        var count = 0
        while let next = decoder.next() {
            #expect(next == device)
            count += 1
        }
        #expect(count == 1024 && decoder.isFinished)
    }

    @Test("a path is bounded, and cannot write on a terminal")
    func paths() throws {
        let hostile = bytes("1B 5B 33 31 6D 41 07 C3 A4 7F 0A 42 00 43")
        var field = hostile + zeros(256 - hostile.count)
        let escaped = try DeviceRecord(decoding: field + Sample.recordBytes[256...])
        #expect(escaped.path == "?[31mA?????B")
        field = [UInt8](repeating: 0x61, count: 256)
        let endless = try DeviceRecord(decoding: field + Sample.recordBytes[256...])
        #expect(endless.path == String(repeating: "a", count: 255))
        var own = Sample.record
        own.path = String(repeating: "b", count: 300)
        #expect(own.encode().count == 312)
        #expect(own.encode()[254] == 0x62 && own.encode()[255] == 0)
    }

    @Test("a status has words, known or not")
    func statuses() {
        let sentences = (0...6).map { OperationStatus.sentence(of: UInt32($0)) }
        #expect(Set(sentences).count == 7)
        #expect(sentences[1] == OperationStatus.notAvailable.sentence)
        #expect(OperationStatus.sentence(of: 4_294_967_295).contains("4294967295"))
    }

    @Test("an error's sentence says what was expected and what came")
    func sentences() {
        let hostile = bytes("1B 5B 32 4A 00 41") + zeros(26)
        #expect(USBIPError.version(0x0106).sentence.contains("0x0111") == true)
        #expect(USBIPError.version(0x0106).sentence.contains("0x0106") == true)
        #expect(USBIPError.badBusID(field: hostile).sentence.contains("'?[2J'"))
        #expect(USBIPError.ended(.deviceRecord, got: 17).sentence.contains("17 of the 312 bytes"))
        #expect(USBIPError.tooManyDevices(70000).sentence.contains("70000"))
        let code = USBIPError.unexpectedCode(.replyImport, expected: .replyDeviceList).sentence
        #expect(code.contains("OP_REP_DEVLIST") && code.contains("OP_REP_IMPORT"))
    }
}
