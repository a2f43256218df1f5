// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import GuestAgent

/// When the importer looks for devices again.
@Suite struct AttachKeeperTests {
    /// A look, and whether the next one is due so many seconds behind its end.
    private func look(_ keeper: AttachKeeper, settled: Bool = false, then seconds: UInt64) -> Bool {
        keeper.began()
        let before = Clock.microseconds()
        keeper.swept(settled: settled)
        let after = Clock.microseconds()
        guard let due = keeper.sweepAt else { return false }
        return due >= before + seconds * 1_000_000 && due <= after + seconds * 1_000_000
    }

    @Test("a peer that announces nothing is asked every second or two, for ever") func mute() throws {
        let keeper = AttachKeeper()
        for _ in 0..<20 { #expect(look(keeper, then: 1)) }
        #expect(look(keeper, settled: true, then: 2))
    }

    @Test("what stays undone is tried again ever more seldom, until the peer announces something")
    func patience() throws {
        let folder = try ScratchFolder()
        let agent = try Listener(folder.path + "/agent.sock", backlog: 1)
        let keeper = AttachKeeper()
        keeper.connect(folder.path)
        let stream = try agent.accept()
        #expect(try stream.read(ControlProtocol.size).count == ControlProtocol.size)
        try stream.write(ControlProtocol.reply(0))
        keeper.hear()
        #expect(keeper.sweepAt == 0)
        for _ in 0..<2 {
            for seconds: UInt64 in [1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 8, 8, 8] {
                #expect(look(keeper, then: seconds), "\(seconds)")
            }
            keeper.began()
            keeper.swept(settled: true)
            #expect(keeper.sweepAt == nil, "only an announcement brings a look")
            try stream.write([0])
            keeper.hear()
            #expect(keeper.sweepAt == 0)
        }
    }
}
