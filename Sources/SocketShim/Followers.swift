// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// What else of this process stands for a socket that is replaced: other descriptors, made by dup, and registrations in
/// epoll instances. Both are read from /proc/self (proc(5)), so that there is no table to keep; where that is not
/// mounted, nothing follows.
///
/// A registration belongs to the open file, not to the number, so it is taken away before the number stands for
/// another file, and given back behind that, with its events and data.
struct Followers {
    private let fd: Int32
    private var file = raw_file()
    private static var room: Int { 32 }
    private var registrations = InlineArray<32, Registration>(repeating: Registration())
    private var count = 0
    private var duplicates = 0

    private struct Registration {
        var epoll: Int32 = -1
        var fd: Int32 = -1
        var events: UInt32 = 0
        var data: UInt64 = 0
    }

    init(of fd: Int32) {
        self.fd = fd
        _ = raw_file(fd, &file)
    }

    /// Descriptors of this process, one after the other.
    private func eachDescriptor(_ body: (Int32) -> Void) {
        let kept = Temporary { "/proc/self/fd".withCString { raw_open_folder($0) } }
        if kept.fd >= 0 { Self.read(kept.fd, body) }
        kept.close()
    }

    private static func read(_ folder: Int32, _ body: (Int32) -> Void) {
        var entries = InlineArray<1024, UInt8>(repeating: 0)
        var span = entries.mutableSpan
        span.withUnsafeMutableBytes { room in
            let start = room.baseAddress.unsafelyUnwrapped
            var size = Int(raw_read_folder(folder, start, room.count))
            while size > 0 {
                var place = 0
                // linux_dirent64: the record's length is at 16, the name, up to a zero, at 19.
                while place < size {
                    let length = Int(start.loadUnaligned(fromByteOffset: place + 16, as: UInt16.self))
                    var scanner = Scanner((start + place + 19).assumingMemoryBound(to: CChar.self))
                    if let number = scanner.decimal(limit: UInt64(Int32.max)), scanner.isAtEnd, number != folder {
                        body(Int32(number))
                    }
                    place += length
                }
                size = Int(raw_read_folder(folder, start, room.count))
            }
        }
    }

    private func isDuplicate(_ other: Int32) -> Bool {
        var file = raw_file()
        return other == fd || raw_file(other, &file) >= 0 && isSame(file)
    }

    private func isSame(_ other: raw_file) -> Bool { other.inode == file.inode && other.device == file.device }

    /// Something else of the process stands for the socket, too.
    var hasFound: Bool { count > 0 || duplicates > 0 }

    func replaceDuplicates(by replacement: Int32) {
        guard duplicates > 0 else { return }
        eachDescriptor { other in
            if other != fd, other != replacement, isDuplicate(other) { _ = Kernel.duplicate(replacement, to: other) }
        }
    }

    /// Counts the duplicates, and takes the socket out of epoll instances. One look at each descriptor: a program may
    /// have tens of thousands.
    mutating func find() {
        var found = self
        eachDescriptor { other in
            var file = raw_file()
            let isTypeless = raw_file(other, &file)
            if isTypeless > 0, Self.isEpoll(other) { found.takeRegistrations(of: other) }
            if isTypeless == 0, other != fd, isSame(file) { found.duplicates += 1 }
        }
        self = found
    }

    func giveBackToEpoll() {
        for index in 0..<count {
            let registration = registrations[index]
            _ = raw_epoll_add(registration.epoll, registration.fd, registration.events, registration.data)
        }
    }

    private static func path(_ folder: StaticString, _ number: Int32) -> Text {
        var path = Text()
        path.append(folder)
        path.append(decimal: UInt64(number))
        return path
    }

    private static func isEpoll(_ fd: Int32) -> Bool {
        let wanted: StaticString = "anon_inode:[eventpoll]"
        var name = InlineArray<32, UInt8>(repeating: 0)
        let length = path("/proc/self/fd/", fd).withCString { path in
            var span = name.mutableSpan
            return span.withUnsafeMutableBytes { raw_read_link(path, $0.baseAddress.unsafelyUnwrapped, $0.count) }
        }
        guard length == wanted.utf8CodeUnitCount else { return false }
        for index in 0..<Int(length) where name[index] != wanted.utf8Start[index] { return false }
        return true
    }

    /// Lines `tfd: 5 events: 19 data: 5 pos:0 ino:f1 sdev:8`; all but the first number is hexadecimal.
    private mutating func takeRegistrations(of epoll: Int32) {
        let path = Self.path("/proc/self/fdinfo/", epoll)
        let kept = Temporary { path.withCString { raw_open_text($0) } }
        if kept.fd >= 0 { takeRegistrations(of: epoll, in: kept.fd) }
        kept.close()
    }

    private mutating func takeRegistrations(of epoll: Int32, in file: Int32) {
        var line = Text()
        var part = InlineArray<512, UInt8>(repeating: 0)
        while true {
            var span = part.mutableSpan
            let size = span.withUnsafeMutableBytes { raw_read(file, $0.baseAddress.unsafelyUnwrapped, $0.count) }
            if size <= 0 { return }
            for index in 0..<Int(size) {
                if part[index] != 0x0A {
                    line.append(byte: part[index])
                } else {
                    take(line, of: epoll)
                    line = Text()
                }
            }
        }
    }

    private mutating func take(_ line: borrowing Text, of epoll: Int32) {
        let size = line.count
        var found = Registration(epoll: epoll)
        let isOne = line.withBytes { bytes in
            var scanner = Scanner(bytes, count: size)
            guard scanner.skip("tfd:"), let number = scanner.blankAndNumber(hexadecimal: false),
                scanner.blankAndSkip("events:"), let events = scanner.blankAndNumber(hexadecimal: true),
                scanner.blankAndSkip("data:"), let data = scanner.blankAndNumber(hexadecimal: true)
            else { return false }
            // The file's own number, where the kernel tells it: most lines are of other files.
            if scanner.blankAndSkip("pos:"), scanner.blankAndNumber(hexadecimal: false) != nil,
                scanner.blankAndSkip("ino:"), scanner.blankAndNumber(hexadecimal: true) != file.inode
            {
                return false
            }
            found.fd = Int32(truncatingIfNeeded: number)
            found.events = UInt32(truncatingIfNeeded: events)
            found.data = data
            return true
        }
        // Another file may be registered under a number that has been used again: then there is nothing to remove.
        guard isOne, count < Self.room, isDuplicate(found.fd), raw_epoll_remove(epoll, found.fd) == 0 else { return }
        registrations[count] = found
        count += 1
    }
}
