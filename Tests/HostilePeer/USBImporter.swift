// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// An importer's side of a USB/IP connection, as the protocol has it: it imports the device, reads its descriptors,
/// sets its configuration, and moves bulk data both ways. The guard lets all of it pass, so that what is done to the
/// payload while it is read goes as far as the kernel.
struct USBImporter {
    enum Stage { case unasked, importing, reading, configured, refused, lost }

    private(set) var stage = Stage.unasked
    /// Requests that had their answers.
    private(set) var answered = 0
    private var steps = 0
    private var sequence: UInt32 = 0
    private var device: UInt32 = 0
    /// The requests without an answer: whether data comes with it.
    private var open: [UInt32: Bool] = [:]
    /// Withdrawals without an answer, and of what.
    private var withdrawn: [UInt32: UInt32] = [:]
    private var unread: [UInt8] = []
    private var bulkIn: UInt32 = 0
    private var bulkOut: UInt32 = 0
    private var configuration: [UInt8] = []

    /// What goes out next, if it is this side's turn, and where in it a payload lies.
    mutating func next(_ random: inout SeededGenerator) -> (bytes: [UInt8], payload: Range<Int>) {
        switch stage {
        case .unasked:
            stage = .importing
            return (USBBytes.requestImport, 0..<0)
        case .reading where open.isEmpty:
            steps += 1
            switch steps {
            case 1: return (control(0x80, 6, 0x0100, 18), 0..<0)
            case 2: return (control(0x80, 6, 0x0200, 9), 0..<0)
            case 3: return (control(0x80, 6, 0x0200, UInt32(configuration[2]) | UInt32(configuration[3]) << 8), 0..<0)
            default: return (control(0x00, 9, UInt32(configuration[5]), 0), 0..<0)
            }
        case .configured where open.count - withdrawn.count < 8 && withdrawn.isEmpty:
            if Int.random(in: 0..<2, using: &random) == 0 {
                return (submit(bulkIn, isIn: true, length: 512), 0..<0)
            }
            let size = [31, 512, 4000][Int.random(in: 0..<3, using: &random)]
            let data = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
            return (submit(bulkOut, isIn: false, length: UInt32(size)) + data, 48..<48 + size)
        case .configured where withdrawn.isEmpty:
            guard let oldest = open.keys.min() else { return ([], 0..<0) }
            sequence += 1
            let bytes = words([2, sequence, device, 0, 0, oldest, 0, 0, 0, 0, 0, 0])
            open[sequence] = false
            withdrawn[sequence] = oldest
            return (bytes, 0..<0)
        default: return ([], 0..<0)
        }
    }

    /// What came in.
    mutating func take(_ bytes: some Sequence<UInt8>) {
        unread += bytes
        while takeOne() {}
    }

    /// A request that the protocol does not allow here.
    mutating func lie(_ kind: Int) -> [UInt8] {
        sequence += 1
        switch kind {
        case 0: return words([1, sequence, device ^ 1, 1, bulkIn, 0, 512, 0, 0, 0, 0, 0])
        case 1: return words([1, sequence, device, 1, 15, 0, 512, 0, 0, 0, 0, 0])
        case 2: return words([1, sequence, device, 1, bulkIn, 0, 0x7FFF_FFFF, 0, 0, 0, 0, 0])
        default: return words([3, sequence, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
    }

    private mutating func takeOne() -> Bool {
        switch stage {
        case .importing:
            guard unread.count >= 8 else { return false }
            guard unread[4..<8].allSatisfy({ $0 == 0 }), unread[2] == 0, unread[3] == 3 else {
                stage = .refused
                return false
            }
            guard unread.count >= 320 else { return false }
            // The bus's number and the device's, behind path and bus id.
            device = word(8 + 256 + 32) << 16 | word(8 + 256 + 36)
            unread.removeFirst(320)
            stage = .reading
            return true
        case .reading, .configured:
            guard unread.count >= 48 else { return false }
            let (command, number) = (word(0), word(4))
            guard let hasData = open[number], command == 3 || command == 4 else {
                stage = .lost
                return false
            }
            let size = command == 3 && hasData ? Int(word(24)) : 0
            guard unread.count >= 48 + size else { return false }
            hear(Array(unread[48..<48 + size]), status: Int32(bitPattern: word(20)), isSubmit: command == 3)
            // Behind the answer to a withdrawal, none to the request comes any more.
            if let request = withdrawn.removeValue(forKey: number) { open[request] = nil }
            open[number] = nil
            unread.removeFirst(48 + size)
            answered += 1
            return true
        default: return false
        }
    }

    private mutating func hear(_ data: [UInt8], status: Int32, isSubmit: Bool) {
        guard stage == .reading, isSubmit else { return }
        guard status == 0 else {
            stage = .lost
            return
        }
        if steps == 2 || steps == 3 { configuration = data }
        if steps == 2, data.count < 9 { stage = .lost }
        if steps == 3 { findEndpoints() }
        if steps == 4 { stage = .configured }
    }

    private mutating func findEndpoints() {
        var place = 0
        while place + 2 <= configuration.count, configuration[place] >= 2 {
            let size = Int(configuration[place])
            if configuration[place + 1] == 5, size >= 7, place + 7 <= configuration.count,
                configuration[place + 3] & 3 == 2
            {
                let address = configuration[place + 2]
                if address & 0x80 != 0 { bulkIn = UInt32(address & 15) } else { bulkOut = UInt32(address & 15) }
            }
            place += size
        }
        if bulkIn == 0 || bulkOut == 0 { stage = .lost }
    }

    private mutating func control(_ type: UInt8, _ request: UInt8, _ value: UInt32, _ length: UInt32) -> [UInt8] {
        let isIn = type & 0x80 != 0
        var bytes = submit(0, isIn: isIn, length: length)
        let setup: [UInt8] = [
            type, request, UInt8(value & 255), UInt8(value >> 8), 0, 0, UInt8(length & 255), UInt8(length >> 8),
        ]
        bytes.replaceSubrange(40..<48, with: setup)
        return bytes
    }

    private mutating func submit(_ endpoint: UInt32, isIn: Bool, length: UInt32) -> [UInt8] {
        sequence += 1
        open[sequence] = isIn
        return words([1, sequence, device, isIn ? 1 : 0, endpoint, 0, length, 0, 0, 0, 0, 0])
    }

    private func words(_ words: [UInt32]) -> [UInt8] {
        words.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
    }

    private func word(_ place: Int) -> UInt32 {
        unread[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
