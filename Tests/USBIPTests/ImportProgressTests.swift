// SPDX-License-Identifier: Apache-2.0
import Testing
import USBIP

/// What is concluded from an importer's half of a connection.
struct ImportProgressTests {
    /// What there is to see.
    private struct Seen: Equatable {
        var requests: UInt64
        var unanswered: Bool
        var unlink: Bool

        init(_ requests: UInt64, unanswered: Bool = false, unlink: Bool = false) {
            self.requests = requests
            self.unanswered = unanswered
            self.unlink = unlink
        }

        init(_ progress: ImportProgress) {
            self.init(progress.requests, unanswered: progress.isUnanswered, unlink: progress.isUnlinkUnanswered)
        }
    }

    private static func send(_ bytes: [UInt8], _ progress: inout ImportProgress) {
        bytes.withUnsafeBytes { progress.sent($0) }
    }

    /// In pieces of a size; after each there may be an answer.
    private static func follow(_ bytes: [UInt8], by size: Int, answered: Bool = false) -> Seen {
        var progress = ImportProgress()
        for start in stride(from: 0, to: bytes.count, by: size) {
            send(Array(bytes[start..<min(start + size, bytes.count)]), &progress)
            if answered { progress.received() }
        }
        return Seen(progress)
    }

    private static let submits = [PDUSample.cmdSubmitIn, PDUSample.cmdSubmitOut, PDUSample.cmdSubmitIso]
    private static let all = submits + [PDUSample.cmdUnlink]

    /// Every row of up to three commands behind an import, in pieces of every size up to a header and some.
    @Test func everyRowInEveryCut() {
        var rows: [[PDUSample.PDU]] = [[]]
        for _ in 0..<3 { rows += rows.flatMap { row in Self.all.map { row + [$0] } } }
        for row in rows {
            let stream = Sample.requestImport + row.flatMap(\.bytes)
            let submits = row.filter { $0.header.command == .cmdSubmit }.count
            let expected = Seen(
                UInt64(submits), unanswered: !row.isEmpty, unlink: row.contains { $0.header.command == .cmdUnlink })
            for size in Array(1...9) + [39, 40, 41, 47, 48, 49, 53, stream.count] {
                #expect(Self.follow(stream, by: size) == expected)
                #expect(Self.follow(stream, by: size, answered: true) == Seen(UInt64(submits)))
            }
        }
    }

    /// Payload and descriptors that look like commands are neither.
    @Test func bodiesAreNoCommands() {
        var out = PDUSample.cmdSubmitOut
        out.payload = PDUSample.cmdUnlink.bytes + PDUSample.cmdSubmitIn.bytes
        out.head = out.head.replacing(at: 24, with: "00 00 00 60")
        var iso = PDUSample.cmdSubmitIso
        iso.payload = PDUSample.cmdUnlink.bytes
        iso.head = iso.head.replacing(at: 24, with: "00 00 00 30")
        // Three descriptors hold an unlink's 48 bytes.
        iso.head = iso.head.replacing(at: 32, with: "00 00 00 03")
        iso.descriptors = []
        let stream = Sample.requestImport + out.bytes + iso.bytes + PDUSample.cmdUnlink.bytes
        for size in 1...stream.count { #expect(Self.follow(stream, by: size) == Seen(2, unanswered: true)) }
        let more = stream + PDUSample.cmdSubmitIn.bytes + PDUSample.cmdUnlink.bytes
        for size in 1...stream.count { #expect(Self.follow(more, by: size) == Seen(3, unanswered: true, unlink: true)) }
    }

    /// At each byte: a command counts when its header is complete, an answer clears, only the next one counts again.
    @Test func byteByByte() {
        var progress = ImportProgress()
        Self.send(Sample.requestImport, &progress)
        #expect(Seen(progress) == Seen(0))
        for (i, byte) in PDUSample.cmdSubmitOut.bytes.enumerated() {
            Self.send([byte], &progress)
            #expect(Seen(progress) == Seen(i < 47 ? 0 : 1, unanswered: i >= 47), "\(i)")
        }
        for (i, byte) in PDUSample.cmdUnlink.bytes.enumerated() {
            Self.send([byte], &progress)
            #expect(Seen(progress) == Seen(1, unanswered: true, unlink: i == 47), "\(i)")
        }
        progress.received()
        #expect(Seen(progress) == Seen(1))
        progress.received()
        Self.send([], &progress)
        #expect(Seen(progress) == Seen(1))
        Self.send(PDUSample.cmdUnlink.bytes, &progress)
        #expect(Seen(progress) == Seen(1, unanswered: true, unlink: true))
    }

    /// A list is no import; a request that is none, neither. Nothing that follows is looked at.
    @Test(arguments: [
        Sample.requestList, Sample.replyImport, zeros(40), bytes("01 11 80 03 00 00 00 01") + Sample.busIDField,
        bytes("01 00 80 03 00 00 00 00") + Sample.busIDField, bytes("01 11 80 03 00 00 00 00") + zeros(32), [],
        Array(Sample.requestImport.dropLast()),
    ])
    func noImport(_ start: [UInt8]) {
        let stream = start + Self.all.flatMap(\.bytes)
        for size in [1, 7, 48, stream.count] { #expect(Self.follow(stream, by: size) == Seen(0), "\(size)") }
    }

    /// What breaks the protocol ends the following: it concludes nothing itself, nor does what comes behind.
    @Test func garbageBehindAnImport() {
        let submit = PDUSample.cmdSubmitOut.head
        let bad = [
            zeros(48), [UInt8](repeating: 0xFF, count: 48), PDUSample.retSubmit.head, PDUSample.retUnlink.head,
            submit.replacing(at: 12, with: "00 00 00 02"), submit.replacing(at: 16, with: "00 00 00 10"),
            submit.replacing(at: 24, with: "FF FF FF FF"), submit.replacing(at: 24, with: "01 00 00 01"),
            submit.replacing(at: 24, with: "7F FF FF FF"), submit.replacing(at: 32, with: "00 00 04 01"),
            submit.replacing(at: 32, with: "7F FF FF FF"), submit.replacing(at: 32, with: "FF FF FF FE"),
            submit.replacing(at: 32, with: "80 00 00 00"),
        ]
        for bytes in bad {
            let stream = Sample.requestImport + bytes + Self.all.flatMap(\.bytes)
            for size in [1, 5, 48, stream.count] { #expect(Self.follow(stream, by: size) == Seen(0), "\(bytes)") }
            // What was seen before stands until an answer comes.
            let later = Sample.requestImport + PDUSample.cmdSubmitIn.bytes + bytes + PDUSample.cmdUnlink.bytes
            #expect(Self.follow(later, by: 11) == Seen(1, unanswered: true))
            #expect(Self.follow(later, by: 11, answered: true) == Seen(1))
        }
    }

    /// The largest there may be is followed without being held; one byte more is not.
    @Test func aLargeTransfer() {
        var progress = ImportProgress()
        Self.send(Sample.requestImport + PDUSample.cmdSubmitOut.head.replacing(at: 24, with: "01 00 00 00"), &progress)
        let chunk = [UInt8](repeating: 2, count: 1 << 20)
        for _ in 0..<16 { Self.send(chunk, &progress) }
        #expect(Seen(progress) == Seen(1, unanswered: true))
        Self.send(PDUSample.cmdUnlink.bytes, &progress)
        #expect(Seen(progress) == Seen(1, unanswered: true, unlink: true))
    }
}
