// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import RingBuffer
import TestSupport
import Testing

@testable import GuestAgent

/// A build of the agent and a doorbell: what an end-to-end test runs with.
struct Setting: Sendable, CustomTestStringConvertible {
    let build: Build
    let doorbells: Bool

    var testDescription: String { "\(build) build, \(doorbells ? "eventfds" : "no doorbell")" }

    static let all = Build.all.flatMap { build in [false, true].map { Setting(build: build, doorbells: $0) } }
    static let withDoorbells = all.filter(\.doorbells)
}

/// Two guests on this machine: two agents on the two halves of one file.
final class Guests {
    enum Side: Int, CaseIterable, Sendable {
        case a, b
        var name: String { self == .a ? "a" : "b" }
        var other: Side { self == .a ? .b : .a }
    }

    static let geometry = SectionGeometry(channels: 4, ringCapacity: 65_536, opensA: 2)!
    static let sectionSize = 1 << 19
    /// How long anything may take that the agents do by themselves.
    static let patience = 20.0

    let setting: Setting
    let folder: ScratchFolder
    /// The eventfds that wake a and b.
    let bells: [Int32]
    private var agents: [Program?] = [nil, nil]

    init(_ setting: Setting) throws {
        self.setting = setting
        folder = try ScratchFolder()
        bells = setting.doorbells ? [eventfd(0, Int32(EFD_CLOEXEC)), eventfd(0, Int32(EFD_CLOEXEC))] : []
        for side in Side.allCases {
            try FileManager.default.createDirectory(
                atPath: runtime(side) + "/port", withIntermediateDirectories: true)
        }
        try Data(count: 2 * Self.sectionSize).write(to: URL(fileURLWithPath: file))
    }

    deinit {
        agents = []
        bells.forEach { close($0) }
    }

    var file: String { folder.path + "/memory" }
    func runtime(_ side: Side) -> String { "\(folder.path)/\(side.name)" }
    func agent(_ side: Side) throws -> Program { try #require(agents[side.rawValue]) }

    /// The words that start an agent; a heartbeat of 50 ms, and a second of silence is the end. What `more` sets
    /// with `=` replaces this test's standard.
    func arguments(_ side: Side, _ more: [String] = []) -> [String] {
        let geometry = Self.geometry
        let first = Program.firstDescriptor
        return [
            "agent", "--side", side.name, "--section-a", "file:\(file),size=\(Self.sectionSize)", "--section-b",
            "file:\(file),offset=\(Self.sectionSize),size=\(Self.sectionSize)",
        ]
            + [
                "--heartbeat-ms=50", "--heartbeat-misses=20",
                "--doorbell=\(setting.doorbells ? "eventfd:\(first),\(first + 1)" : "none")",
                "--connect-timeout-ms=2000", "--channels=\(geometry.channels)", "--ring-size=\(geometry.ringCapacity)",
                "--runtime-dir=\(runtime(side))",
            ].filter { standard in !more.contains { $0.hasPrefix(standard.prefix { $0 != "=" }) } } + more
    }

    /// Another agent than the two.
    /// - Parameters:
    ///   - through: a program, with its arguments, that becomes the agent.
    ///   - descriptors: what that inherits besides the doorbell.
    func extraAgent(
        _ side: Side, _ more: [String], through: [String] = [], descriptors: [Int32] = []
    ) throws -> Program {
        let order = setting.doorbells ? [bells[side.rawValue], bells[side.other.rawValue]] : []
        let words = through + [setting.build.path] + arguments(side, more)
        return try Program(words[0], Array(words[1...]), descriptors: order + descriptors)
    }

    /// Starts an agent and does not wait for anything.
    @discardableResult
    func start(
        _ side: Side, _ more: [String] = [], through: [String] = [], descriptors: [Int32] = []
    ) throws -> Program {
        let program = try extraAgent(side, more, through: through, descriptors: descriptors)
        agents[side.rawValue] = program
        return program
    }

    /// Starts an agent and waits until its control socket answers.
    func startAndWait(_ side: Side, _ more: [String] = [], through: [String] = []) throws {
        let program = try start(side, more, through: through)
        try #require(program.prints("channels of"), "\(program.text)")
    }

    func startBoth() throws {
        for side in Side.allCases { try start(side) }
        for side in Side.allCases { try waitForLink(side) }
    }

    /// Waits until an agent says, after the first `mark` characters of its log, that the link is up.
    func waitForLink(_ side: Side, after mark: Int = 0) throws {
        let program = try agent(side)
        try #require(program.prints("link up", after: mark, seconds: Self.patience), "\(program.text)")
    }

    /// Heartbeats that a side has published: time as its agent counts it.
    func heartbeats(_ side: Side) throws -> UInt64 {
        let memory = try Mapping(path: file, size: 2 * Self.sectionSize, writable: false)
        let word = memory.base + side.rawValue * Self.sectionSize + SectionLayout.headerHeartbeat
        return withExtendedLifetime(memory) { SharedWord64(word).loadAcquire() }
    }

    /// What `ringway status --json` says.
    func status(_ side: Side) throws -> [String: Any] {
        let text = try statusText(side, ["--json"])
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
        return try #require(object as? [String: Any])
    }

    func statusText(_ side: Side, _ more: [String] = []) throws -> String {
        let (status, text) = try setting.build.run(["status", "--runtime-dir", runtime(side)] + more)
        try #require(status == 0, "\(text)")
        return text
    }

    /// Asks for the status until it is as it should be.
    func status(_ side: Side, until isRight: ([String: Any]) -> Bool) throws -> [String: Any] {
        let deadline = Deadline(seconds: Self.patience)
        while true {
            let now = try status(side)
            if isRight(now) || deadline.isPast { return now }
        }
    }

    /// Asks an agent for a connection.
    /// - Returns: its errno and the stream.
    func connect(_ side: Side, port: UInt16) throws -> (result: Int32, stream: Stream) {
        try ask(side, [0x52, 0x57, 0x43, 0x31, 1, 0, UInt8(port & 255), UInt8(port >> 8), 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// Sends bytes to the control socket and takes the answer's 16 bytes.
    func ask(_ side: Side, _ bytes: [UInt8]) throws -> (result: Int32, stream: Stream) {
        let stream = try Stream(connectedTo: runtime(side) + "/agent.sock")
        try stream.write(bytes)
        let reply = try stream.read(16)
        let answer = try #require(ControlProtocol.parseReply(reply))
        #expect(answer.length == 0)
        return (answer.result, stream)
    }

    /// A connection that must come about, once the channel of one that has just ended is free.
    func connected(_ side: Side, port: UInt16) throws -> Stream {
        let deadline = Deadline(seconds: Self.patience)
        while true {
            let (result, stream) = try connect(side, port: port)
            if result == 0 { return stream }
            try #require(result == EADDRNOTAVAIL && !deadline.isPast, "errno \(result)")
        }
    }

    func listen(_ side: Side, port: UInt16, family: String = "4", backlog: Int32 = 16) throws -> Listener {
        try Listener("\(runtime(side))/port/\(port).\(family)", backlog: backlog)
    }

    /// A connection, both of its ends.
    func pair(from side: Side, port: UInt16) throws -> (client: Stream, service: Stream) {
        let listener = try listen(side.other, port: port)
        let client = try connected(side, port: port)
        return (client, try listener.accept())
    }
}
