// SPDX-License-Identifier: Apache-2.0

/// A device with two bulk endpoints as an exporter's kernel speaks for it: it answers every request at once, and knows
/// when the bytes that come are no request.
struct USBDevice {
    static let configuration: [UInt8] =
        [9, 2, 32, 0, 1, 1, 0, 0x80, 50] + [9, 4, 0, 0, 2, 0xFF, 0, 0, 0] + [7, 5, 0x81, 2, 0, 2, 0]
        + [7, 5, 0x02, 2, 0, 2, 0]
    static let descriptor: [UInt8] = [18, 1, 0, 2, 0, 0, 0, 64, 0xF4, 0x46, 1, 0, 0, 0, 0, 0, 0, 1]

    private var unread: [UInt8] = []
    private var isImported = false

    /// - Returns: what it answers; nil when the bytes were no request.
    mutating func answer(_ bytes: some Sequence<UInt8>) -> [UInt8]? {
        unread += bytes
        var answers: [UInt8] = []
        if !isImported {
            guard unread.count >= 40 else { return [] }
            guard unread[0] == 1, unread[2] == 0x80, unread[3] == 3 else { return nil }
            unread.removeFirst(40)
            isImported = true
            answers += USBBytes.replyImport
        }
        while unread.count >= 48 {
            let (command, number) = (word(0), word(4))
            let size = Int(word(24))
            let isIn = word(12) == 1
            guard command == 1 || command == 2 else { return nil }
            let body = command == 1 && !isIn ? size : 0
            guard unread.count >= 48 + body else { break }
            if command == 2 {
                answers += Self.words([4, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            } else {
                let data = isIn ? self.data(size) : []
                let count = UInt32(isIn ? data.count : size)
                answers += Self.words([3, number, 0, 0, 0, 0, count, 0, 0, 0, 0, 0]) + data
            }
            unread.removeFirst(48 + body)
        }
        return answers
    }

    private func data(_ size: Int) -> [UInt8] {
        guard word(16) == 0 else { return [UInt8](repeating: 0xA5, count: size) }
        // GET_DESCRIPTOR, of the device or its configuration; nothing else is read from it.
        guard unread[40] == 0x80, unread[41] == 6 else { return [] }
        let text = unread[43] == 1 ? Self.descriptor : unread[43] == 2 ? Self.configuration : []
        return Array(text.prefix(size))
    }

    private func word(_ place: Int) -> UInt32 {
        unread[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func words(_ words: [UInt32]) -> [UInt8] {
        words.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
    }
}
