// SPDX-License-Identifier: Apache-2.0
import CShim
import Foundation
import Testing

@testable import Rig

/// What a virtual machine sees of the doorbell server. It closes what it was sent: Foundation's `Process` crashes in
/// a test program that has more than about 1,360 descriptors open.
private final class Client {
    let socket: UnixSocket
    let version: Int64
    let id: Int64
    let memory: Int32
    /// Of the others, then of itself: as they arrived before its own.
    var events: [(id: Int64, event: Int32)] = []

    init(_ path: String, vectors: Int = 1) throws {
        socket = try UnixSocket.connect(to: path)
        version = try Self.next(socket).value
        id = try Self.next(socket).value
        let region = try Self.next(socket)
        #expect(region.value == -1)
        memory = try #require(region.descriptor)
        while events.count(where: { $0.id == id }) < vectors {
            let message = try Self.next(socket)
            events.append((message.value, try #require(message.descriptor)))
        }
    }

    deinit {
        close(memory)
        events.forEach { close($0.event) }
    }

    func next() throws -> (value: Int64, descriptor: Int32?) { try Self.next(socket) }

    private static func next(_ socket: UnixSocket) throws -> (value: Int64, descriptor: Int32?) {
        try #require(socket.waitReadable(.seconds(10)))
        let message = try #require(socket.receive(exactly: 8))
        return (message.bytes.withUnsafeBytes { Int64(littleEndian: $0.load(as: Int64.self)) }, message.descriptor)
    }
}

@Suite struct IvshmemServerTests {
    private let path = "\(NSTemporaryDirectory())/ivshmem-\(UUID().uuidString.prefix(8))"

    @Test func aFirstClientGetsVersionIdRegionAndItsOwnVectors() throws {
        let server = try IvshmemServer(path: path, size: 1 << 20, vectors: 2)
        defer { server.stop() }
        let client = try Client(path, vectors: 2)
        #expect(client.version == 0 && client.id == 0)
        #expect(client.events.map(\.id) == [0, 0])
        var status = stat()
        #expect(fstat(client.memory, &status) == 0 && status.st_size == 1 << 20)
    }

    @Test func clientsShareMemoryAndRingEachOther() throws {
        let server = try IvshmemServer(path: path, size: 4096)
        defer { server.stop() }
        let first = try Client(path)
        let second = try Client(path)
        #expect(second.events.map(\.id) == [0, 1])
        let told = try first.next()
        #expect(told.value == 1)
        defer { told.descriptor.map { _ = close($0) } }

        #expect(pwrite(first.memory, "hello", 5, 0) == 5)
        var bytes = [UInt8](repeating: 0, count: 5)
        #expect(pread(second.memory, &bytes, 5, 0) == 5 && bytes == Array("hello".utf8))

        // The eventfd that the first was given for the second is the one that the second listens to.
        eventfd_write(try #require(told.descriptor), 3)
        var count: eventfd_t = 0
        #expect(eventfd_read(second.events[1].event, &count) == 0 && count == 3)
    }

    @Test func aClientThatLeavesIsAnnouncedAndItsIdNeverUsedAgain() throws {
        let server = try IvshmemServer(path: path, size: 4096)
        defer { server.stop() }
        let first = try Client(path)
        do {
            let second = try Client(path)
            #expect(second.id == 1)
            #expect(try first.next().value == 1)
        }
        let gone = try first.next()
        #expect(gone.value == 1 && gone.descriptor == nil)
        let third = try Client(path)
        #expect(third.id == 2)
        #expect(third.events.map(\.id) == [0, 2])
    }

    @Test func aClientThatDoesNotReadHoldsNobodyUp() throws {
        let server = try IvshmemServer(path: path, size: 4096)
        defer { server.stop() }
        let deaf = try UnixSocket.connect(to: path)
        // Each arrival sends the deaf one messages; its buffer fills, and it is dropped.
        for _ in 0..<600 { _ = try Client(path) }
        #expect(try Client(path).id == 601)
        _ = deaf
    }

    @Test func stoppingRemovesTheSocket() throws {
        let server = try IvshmemServer(path: path, size: 4096)
        server.stop()
        server.stop()
        #expect(access(path, F_OK) != 0)
        #expect(throws: RigError.self) { try UnixSocket.connect(to: path) }
    }

    @Test func aPathThatIsTooLongIsRefused() {
        let path = "/tmp/" + String(repeating: "x", count: 200)
        #expect(throws: RigError.self) { try IvshmemServer(path: path, size: 1) }
    }
}
