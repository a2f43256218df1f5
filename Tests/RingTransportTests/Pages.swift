// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport
import Testing

@testable import RingTransport

/// A folder with files of a known size and contents: byte `i` of page `p` is `p`, whatever `i`.
struct Pages {
    let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    func path(_ name: String) -> String { folder.path + "/" + name }

    /// Writes a text, and the folders that lead to it.
    @discardableResult
    func text(_ name: String, _ text: String) throws -> String {
        let place = URL(fileURLWithPath: path(name))
        try FileManager.default.createDirectory(
            at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: place)
        return place.path
    }

    /// Writes a file of so many pages.
    @discardableResult
    func pages(_ name: String, _ count: Int) throws -> String {
        let path = try text(name, "")
        var data = Data()
        for page in 0..<count { data.append(Data(repeating: UInt8(page), count: 4096)) }
        try data.write(to: URL(fileURLWithPath: path))
        return path
    }

    func open(
        _ text: String, writable: Bool = false, sysfs: String = "sys", devices: String = "dev"
    ) throws -> MappedSection {
        try MappedSection.open(
            SectionSpecification(parsing: text), writable: writable, sysfsRoot: path(sysfs), deviceRoot: path(devices))
    }

    /// The error of an attempt that must fail.
    func failure(_ text: String, writable: Bool = false) throws -> TransportError {
        try #require(throws: TransportError.self) { try open(text, writable: writable) }
    }
}

extension MappedSection {
    /// Which page of its file the section's page `number` is.
    func page(_ number: Int) -> UInt8 { base.load(fromByteOffset: number * 4096 + 17, as: UInt8.self) }
}

/// How many bytes of this file are mapped in this process, and with which protections.
func mappings(of path: String) throws -> (bytes: Int, protections: [String]) {
    // Not String(contentsOfFile:), which stops at the first short read.
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/maps"))
    let text = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    var bytes = 0
    var protections: [String] = []
    for line in text.split(separator: "\n") where line.hasSuffix(" " + path) {
        let fields = line.split(separator: " ")
        let ends = fields[0].split(separator: "-").compactMap { Int($0, radix: 16) }
        bytes += ends[1] - ends[0]
        protections.append(String(fields[1]))
    }
    return (bytes, protections)
}

/// Runs `body` in a forked child, which may do no more than load, store and make system calls.
/// - Returns: what `body` returned, or 128 and the signal that ended it.
func inChild(_ body: () -> Int32) throws -> Int32 {
    let pid = ct_fork()
    if pid == 0 {
        // No crash report of the child: its death is what is tested.
        for number in [SIGSEGV, SIGBUS] { signal(number, SIG_DFL) }
        ct_limit_life(30)
        ct_exit(body())
    }
    guard pid > 0 else { throw SystemFailure("fork") }
    return ct_reap(pid)
}

/// Runs `body` with the file permissions of nobody, in this thread only.
/// - Returns: nil when this process is not privileged enough to try, or the call does not exist.
func asNobody<Result>(_ body: () throws -> Result) rethrows -> Result? {
    typealias SetFSUID = @convention(c) (UInt32) -> Int32
    guard geteuid() == 0, let symbol = dlsym(nil, "setfsuid") else { return nil }
    let setFSUID = unsafeBitCast(symbol, to: SetFSUID.self)
    _ = setFSUID(65534)
    defer { _ = setFSUID(0) }
    return try body()
}
