// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import GuestAgent

/// Programs that connect to `agent.sock` and do not ask, and more of them than the agent has room for.
@Suite(.serialized) struct ControlSocketTests {
    /// After ten heartbeats.
    private static let shortTimeout = "--connect-timeout-ms=500"
    private static let heartbeatsToTimeout: UInt64 = 10

    /// An agent that has no descriptor left neither spins nor stays deaf.
    @Test(arguments: Setting.all)
    func outOfDescriptors(_ setting: Setting) throws {
        let guests = try Guests(setting)
        let limit = 32
        try guests.startAndWait(.a, [Self.shortTimeout], through: ["/usr/bin/prlimit", "--nofile=\(limit):\(limit)"])
        // No more than the listener's backlog holds. They never ask: as many as there are descriptors are accepted,
        // and when their time is up they make room for the next.
        let crowd = try (0..<2 * limit - 4).map { _ in try Stream(connectedTo: guests.runtime(.a) + "/agent.sock") }
        for (number, client) in crowd.enumerated() {
            try #require(client.isClosed(seconds: Guests.patience), "client \(number) was never accepted")
        }
        let counters = try #require(try guests.status(.a)["counters"] as? [String: Int])
        let wakeUps = try #require(counters["wake-ups"])
        let heartbeats = Int(try guests.heartbeats(.a))
        // The second lot had to wait for the first to go, all of it without a descriptor to accept with.
        #expect(heartbeats >= 2 * Int(Self.heartbeatsToTimeout))
        // An agent that polls looks twice in a heartbeat and a half; a client costs a few wake-ups.
        #expect(wakeUps < 10 * heartbeats + 10 * crowd.count, "in \(heartbeats) heartbeats")
    }

    /// Who does not ask in time is let go, and not before; who has a connection keeps it.
    @Test(arguments: Setting.all)
    func requestsThatDoNotCome(_ setting: Setting) throws {
        let guests = try Guests(setting)
        for side in Guests.Side.allCases { try guests.start(side, [Self.shortTimeout]) }
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let (client, service) = try guests.pair(from: .a, port: 12)
        let request = ControlProtocol.request(.init(operation: .status, port: 0, flags: 0))
        let before = try guests.heartbeats(.a)
        let silent = try [0, 1, request.count / 2, request.count - 1].map { count in
            let stream = try Stream(connectedTo: guests.runtime(.a) + "/agent.sock")
            try stream.write(Array(request[..<count]))
            return stream
        }
        for stream in silent {
            #expect(try stream.readToEnd().isEmpty)
            #expect(try guests.heartbeats(.a) >= before + Self.heartbeatsToTimeout)
        }
        try client.write([1, 2])
        #expect(try service.read(2) == [1, 2])
        try service.write([3])
        #expect(try client.read(1) == [3])
    }

    /// Who connects and does not ask keeps nobody out, however many they are: the oldest of them make room.
    @Test(arguments: Setting.all)
    func crowdThatDoesNotAsk(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.startAndWait(.a, ["--connect-timeout-ms=60000"])
        let half = ControlProtocol.request(.init(operation: .status, port: 0, flags: 0)).dropLast()
        var crowd: [Stream] = []
        for number in 0..<DataPath.maximumClients + 20 {
            let stream = try Stream(connectedTo: guests.runtime(.a) + "/agent.sock")
            if number % 2 == 0 { try stream.write(Array(half)) }
            crowd.append(stream)
            // Each of them has been accepted, and what follows comes behind it.
            if number % 50 == 0 { _ = try guests.status(.a) }
        }
        #expect(try guests.status(.a)["counters"] != nil)
        #expect(crowd[0].isClosed(seconds: Guests.patience))
    }

    /// A program that leaves in the moment in which its place is needed does so for itself: what epoll has reported of
    /// it is not taken for the next one's, who asks for a connection.
    @Test("an event of the one before is not the next one's", arguments: Setting.withDoorbells)
    func theOneBefore(_ setting: Setting) throws {
        let guests = try Guests(setting)
        try guests.start(.a, ["--connect-timeout-ms=600000", "--heartbeat-misses=1000"])
        try guests.start(.b)
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let own = try #require(try guests.agent(.a).children.first)
        let listener = try guests.listen(.b, port: 4000)
        func descriptors() throws -> Int {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(own)/fd").count
        }
        let before = try descriptors()
        var crowd: [Stream] = []
        for number in 0..<DataPath.maximumClients {
            if number % 50 == 0 { _ = try guests.status(.a) }
            crowd.append(try Stream(connectedTo: guests.runtime(.a) + "/agent.sock"))
        }
        // Every place is taken when all have been accepted; nobody has had to go.
        let deadline = Deadline(seconds: Guests.patience)
        while try descriptors() < before + crowd.count, !deadline.isPast { sched_yield() }
        #expect(try descriptors() == before + crowd.count)
        kill(own, SIGSTOP)
        let next = try Stream(connectedTo: guests.runtime(.a) + "/agent.sock")
        try next.write(ControlProtocol.request(.init(operation: .connect, port: 4000, flags: 0)))
        crowd.removeFirst()
        kill(own, SIGCONT)
        let reply = try #require(ControlProtocol.parseReply(try next.read(ControlProtocol.size)))
        #expect(reply.result == 0)
        _ = try listener.accept()
    }

    /// A ticket of zeros is nobody's: not that of the program in the first place, which waits for its connection.
    @Test(arguments: Setting.all)
    func aTicketOfZeros(_ setting: Setting) throws {
        let guests = try Guests(setting)
        for side in Guests.Side.allCases { try guests.start(side, ["--direct=on", "--heartbeat-misses=1000"]) }
        for side in Guests.Side.allCases { try guests.waitForLink(side) }
        let (client, service) = try guests.pair(from: .a, port: 12)
        let listener = try guests.listen(.b, port: 13)
        let told = try whatAllAreTold(guests)
        _ = try guests.status(.a)
        let peer = try #require(try guests.agent(.b).children.first)
        kill(peer, SIGSTOP)
        let waits = try Stream(connectedTo: guests.runtime(.a) + "/agent.sock")
        try waits.write(ControlProtocol.request(.init(operation: .connect, port: 13, flags: 0)))
        _ = try guests.status(.a)
        try client.write(told + [UInt8](repeating: 0, count: 8) + [7])
        for _ in 0..<3 { _ = try guests.status(.a) }
        kill(peer, SIGCONT)
        let reply = try #require(ControlProtocol.parseReply(try waits.read(ControlProtocol.size)))
        #expect(reply.result == 0)
        try waits.write([1, 2])
        #expect(try listener.accept().read(2) == [1, 2])
        #expect(try service.read(1) == [7])
    }

    /// The first half of what is to be said on a stream whose ring is wanted. Who has asked is gone then.
    private func whatAllAreTold(_ guests: Guests) throws -> [UInt8] {
        let program = try Stream(connectedTo: guests.runtime(.a) + "/agent.sock")
        try program.write(ControlProtocol.request(.init(operation: .direct, port: 0, flags: 0)))
        // Behind the answer's head, and before the ticket.
        return Array(try program.read(32)[16..<24])
    }
}
