// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// The streaming decoders of the operation phase.
struct OperationDecoderTests {
    /// Piece sizes: each byte alone, odd ones, everything at once.
    static let sizes = [1, 2, 3, 7, 8, 11, 64, 313, 4096]

    /// What follows a message on its connection, and must be left alone.
    static let following = bytes("00 00 00 01 FF FF")

    @Test("requests, in pieces of any size, and no byte behind them", arguments: sizes)
    func requests(_ size: Int) throws {
        for (message, request) in [
            (Sample.requestList, OperationRequest.deviceList),
            (Sample.requestImport, .importDevice(Sample.busID)),
        ] {
            var decoder = RequestDecoder()
            #expect(try decoder.feed(message + Self.following, by: size) == message.count)
            #expect(decoder.request == request)
            #expect(try decoder.feed(Self.following, by: size) == 0)
            try decoder.finish()
        }
    }

    @Test("an import that is granted or refused, in pieces of any size", arguments: sizes)
    func importReplies(_ size: Int) throws {
        let refusal = bytes("01 11 00 03 00 00 00 01")
        let unknown = bytes("01 11 00 03 FF FF FF FE")
        for (message, outcome) in [
            (Sample.replyImport, ImportOutcome.success(Sample.record)), (refusal, .refused(status: 1)),
            (unknown, .refused(status: 0xFFFF_FFFE)),
        ] {
            var decoder = ImportReplyDecoder(expecting: Sample.busID)
            #expect(try decoder.feed(message + Self.following, by: size) == message.count)
            #expect(decoder.outcome == outcome)
            #expect(try decoder.feed(Self.following, by: size) == 0)
            try decoder.finish()
        }
    }

    @Test("a list of devices, in pieces of any size", arguments: sizes)
    func lists(_ size: Int) throws {
        var decoder = DeviceListDecoder()
        #expect(try decoder.feed(Sample.list + Self.following, by: size) == Sample.list.count)
        #expect(decoder.isFinished)
        #expect([decoder.next(), decoder.next(), decoder.next(), decoder.next()] == Sample.listDevices + [nil])
        try decoder.finish()
    }

    @Test("a device can be taken as soon as its last byte has come")
    func devicesComeOneByOne() throws {
        var decoder = DeviceListDecoder()
        var ends: [Int] = []
        for position in Sample.list.indices {
            #expect(try decoder.feed([Sample.list[position]], by: 1) == 1)
            if decoder.next() != nil { ends.append(position + 1) }
        }
        #expect(ends == [12 + 320, 12 + 320 + 312, 12 + 320 + 312 + 320])
    }

    @Test("an empty list")
    func emptyList() throws {
        var decoder = DeviceListDecoder()
        #expect(try decoder.feed(Operation.replyDeviceList([]), by: 5) == 12)
        #expect(decoder.isFinished && decoder.next() == nil)
    }

    @Test("a stream that ends early is an error at every length")
    func truncation() throws {
        func check(_ message: [UInt8], parts: [(USBIPPart, Int)], _ decoder: () -> some StreamDecoder) throws {
            var part = 0
            var start = 0
            for length in message.indices {
                if length == start + parts[part].1 { (start, part) = (length, part + 1) }
                var truncated = decoder()
                #expect(try truncated.feed(Array(message[..<length]), by: 97) == length)
                #expect(!truncated.isFinished)
                let ended = USBIPError.ended(parts[part].0, got: length - start)
                #expect(throws: ended, "after \(length) bytes") { try truncated.finish() }
            }
        }
        let header = (USBIPPart.operationHeader, 8)
        let record = (USBIPPart.deviceRecord, 312)
        let interface = (USBIPPart.interfaceRecord, 4)
        try check(Sample.requestList, parts: [header]) { RequestDecoder() }
        try check(Sample.requestImport, parts: [header, (.busID, 32)]) { RequestDecoder() }
        try check(Sample.replyImport, parts: [header, record]) { ImportReplyDecoder() }
        let list = [header, (.deviceCount, 4), record, interface, interface, record, record, interface, interface]
        try check(Sample.list, parts: list) { DeviceListDecoder() }
    }

    @Test("a structure of another size than its own is an error")
    func wrongSizes() {
        for count in 0...400 {
            let some = Array((Sample.recordBytes + zeros(100)).prefix(count))
            if count != 312 {
                #expect(throws: USBIPError.wrongSize(.deviceRecord, got: count)) { try DeviceRecord(decoding: some) }
            }
            if count != 8 {
                let wrong = USBIPError.wrongSize(.operationHeader, got: count)
                #expect(throws: wrong) { try OperationHeader(decoding: some) }
            }
            if count != 4 {
                let wrong = USBIPError.wrongSize(.interfaceRecord, got: count)
                #expect(throws: wrong) { try InterfaceRecord(decoding: some) }
            }
        }
    }
}
