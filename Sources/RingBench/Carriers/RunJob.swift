// SPDX-License-Identifier: Apache-2.0

/// What a program under `ringway run` is to do in its turn.
struct RunJob: Equatable {
    enum Kind: UInt64 {
        /// Messages from the first program to the second.
        case stream
        /// Each there and back.
        case roundTrip
    }

    let kind: Kind
    /// Bytes in each message.
    let message: Int
    /// Messages before the clock starts, of a stream.
    let warm: Int
    let count: Int

    static let size = 32

    /// As the programs are told it.
    var bytes: [UInt8] {
        [kind.rawValue, UInt64(message), UInt64(warm), UInt64(count)].flatMap { word in
            withUnsafeBytes(of: word) { Array($0) }
        }
    }

    init(_ kind: Kind, message: Int, warm: Int = 0, count: Int) {
        (self.kind, self.message, self.warm, self.count) = (kind, message, warm, count)
    }

    /// - Parameter bytes: as many as ``size``, from the program that started this one.
    init?(_ bytes: [UInt8]) {
        let words = bytes.withUnsafeBytes { bytes in
            (0..<Self.size / 8).map { bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self) }
        }
        guard let kind = Kind(rawValue: words[0]) else { return nil }
        self.init(kind, message: Int(words[1]), warm: Int(words[2]), count: Int(words[3]))
    }

    /// A program's part: the same steps as those of the processes that the other contenders have.
    /// - Parameter socket: connected to the other program.
    func half(_ side: Int, socket: Int32) -> ProcessPair.Half {
        // Both directions are one socket.
        let channel = KernelChannel(.tcp, Descriptors([socket, socket], isOwner: false), from: 0, message: message)
        switch (kind, side) {
        case (.stream, 0):
            return .init(
                prepare: { try channel.produce(count: warm) }, sending: { try channel.produce(count: count) })
        case (.stream, _):
            return .init(
                prepare: { try channel.mustConsume(count: warm) }, checking: { try channel.consume(count: count) })
        case (.roundTrip, 0):
            return RoundTripCells.asking(channel, channel, count) { try RoundTripCells.ask(channel, channel, $0) }
        case (.roundTrip, _):
            return RoundTripCells.answering(channel, channel, count)
        }
    }
}
