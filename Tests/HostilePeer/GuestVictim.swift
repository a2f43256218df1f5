// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport

/// The agent of a virtual machine. The sections are QEMU's ivshmem region, whose server at a socket hands it out, with
/// the eventfds of the doorbell (docs/specs/ivshmem-spec in QEMU's source). What the agent says of itself comes from
/// whoever has a shell in that machine and listens at another socket: a question is a line with a word, its answer the
/// number of its bytes in a line, and the bytes.
final class GuestVictim: Victim {
    let sectionSize = 8 << 20
    let doorbell: UInt32
    /// A question takes as long as hundreds of mutations.
    let roundsPerQuestion = 61
    private let memory: Mapping
    private let server: Int32
    private let questions: Int32
    private(set) var bells: (toAgent: Int32, toPeer: Int32) = (-1, -1)

    var own: UnsafeMutableRawPointer { memory.base }
    var agents: UnsafeMutableRawPointer { memory.base + sectionSize }

    /// - Parameters:
    ///   - path: the server's socket; the machine is connected already.  - questions: that of who answers.
    init(server path: String, questions answers: String) throws {
        server = try Self.connect(path)
        questions = try Self.connect(answers)
        guard try Self.next(server).value == 0 else { throw Failed(message: "the server speaks another protocol") }
        let id = try Self.next(server).value
        doorbell = UInt32(truncatingIfNeeded: id)
        let region = try Self.next(server)
        guard region.value == -1, region.descriptor >= 0 else { throw Failed(message: "the server has no region") }
        memory = try Mapping(fd: region.descriptor, size: 2 * sectionSize)
        close(region.descriptor)
        // The others' first, and this side's own as the end.
        while bells.toPeer < 0 {
            let message = try Self.next(server)
            if message.value == id { bells.toPeer = message.descriptor } else { bells.toAgent = message.descriptor }
        }
        guard bells.toAgent >= 0 else { throw Failed(message: "no machine is connected to the server") }
    }

    deinit {
        for descriptor in [server, questions, bells.toAgent, bells.toPeer] { close(descriptor) }
    }

    private static func connect(_ path: String) throws -> Int32 {
        let fd = AgentSocket.connect(path)
        guard fd >= 0 else { throw SystemFailure("connect to \(path)") }
        return fd
    }

    /// A message of the server's: eight bytes, and maybe a descriptor.
    private static func next(_ socket: Int32) throws -> (value: Int64, descriptor: Int32) {
        var value: Int64 = 0
        var descriptor: Int32 = -1
        let count = ct_receive(socket, &value, 8, &descriptor)
        guard count == 8 else { throw Failed(message: "the server ends: \(count) bytes of a message") }
        return (Int64(littleEndian: value), descriptor)
    }

    /// That it has ended shows where it is asked, and where it answers no more.
    func checkAlive() {}

    // MARK: Questions

    private func ask(_ word: String) throws -> String {
        AgentSocket.send(questions, Array("\(word)\n".utf8))
        var line: [UInt8] = []
        while line.last != UInt8(ascii: "\n") { line += try receive(1, word) }
        guard let count = Int(String(decoding: line.dropLast(), as: UTF8.self)) else {
            throw Failed(message: "\(word) is answered with \(line)")
        }
        return String(decoding: try receive(count, word), as: UTF8.self)
    }

    private func receive(_ count: Int, _ word: String) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let got = bytes.withUnsafeMutableBytes { recv(questions, $0.baseAddress! + done, count - done, 0) }
            guard got > 0 else { throw Failed(message: "nobody answers \(word)") }
            done += got
        }
        return bytes
    }

    func statusText() throws -> String { try ask("status") }
    func pass() throws { _ = try ask("pass") }

    func checkPrograms() throws {
        guard try ask("programs").isEmpty else {
            throw Failed(message: "a program was given bytes of another channel's ring")
        }
    }

    func residentMemory() -> String { (try? ask("memory")) ?? "unknown" }
    func logLines() throws -> [Substring] { try ask("log").split(separator: "\n") }
    func connect() -> Int32 { -1 }
}
