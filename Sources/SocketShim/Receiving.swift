// SPDX-License-Identifier: Apache-2.0
import CSocketShim

// The library's calls that read: where a stream has ended, they ask how. All else is the kernel's work, on a real
// socket; nothing is looked at while bytes arrive.

@c(read)
public func shimRead(_ fd: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    received(fd, next_read(fd, bytes, count), wanted: count > 0)
}

@c(readv)
public func shimReadv(_ fd: Int32, _ parts: UnsafePointer<iovec>?, _ count: Int32) -> Int {
    let result = next_readv(fd, parts, count)
    guard result <= 0 else { return result }
    return received(fd, result, wanted: wantsBytes(parts, count))
}

@c(recv)
public func shimRecv(_ fd: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int, _ flags: Int32) -> Int {
    if isUrgent(flags, fd) { return Int(fail(EINVAL)) }
    return received(fd, next_recv(fd, bytes, count, flags), wanted: count > 0)
}

/// TCP names no sender.
@c(recvfrom)
public func shimRecvfrom(
    _ fd: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int, _ flags: Int32,
    _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?
) -> Int {
    if isUrgent(flags, fd) { return Int(fail(EINVAL)) }
    guard address != nil, isStream(fd) else {
        return received(fd, next_recvfrom(fd, bytes, count, flags, address, length), wanted: count > 0)
    }
    let result = received(fd, next_recvfrom(fd, bytes, count, flags, nil, nil), wanted: count > 0)
    if result >= 0 { length?.pointee = 0 }
    return result
}

@c(recvmsg)
public func shimRecvmsg(_ fd: Int32, _ message: UnsafeMutablePointer<msghdr>?, _ flags: Int32) -> Int {
    if isUrgent(flags, fd) { return Int(fail(EINVAL)) }
    guard let message else { return next_recvmsg(fd, message, flags) }
    let result: Int
    if let name = message.pointee.msg_name, isStream(fd) {
        message.pointee.msg_name = nil
        result = next_recvmsg(fd, message, flags)
        message.pointee.msg_name = name
        if result >= 0 { message.pointee.msg_namelen = 0 }
    } else {
        result = next_recvmsg(fd, message, flags)
    }
    guard result <= 0 else { return result }
    // musl has an int and a padding where glibc has a long.
    let parts = Int32(truncatingIfNeeded: message.pointee.msg_iovlen)
    return received(fd, result, wanted: wantsBytes(message.pointee.msg_iov, parts))
}

// What programs that are compiled with _FORTIFY_SOURCE call.

@c(__read_chk)
public func shimReadChecked(_ fd: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int, _ room: Int) -> Int {
    received(fd, next_read_chk(fd, bytes, count, room), wanted: count > 0)
}

@c(__recv_chk)
public func shimRecvChecked(
    _ fd: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int, _ room: Int, _ flags: Int32
) -> Int {
    if isUrgent(flags, fd) { return Int(fail(EINVAL)) }
    return received(fd, next_recv_chk(fd, bytes, count, room, flags), wanted: count > 0)
}

@c(__recvfrom_chk)
public func shimRecvfromChecked(
    _ fd: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int, _ room: Int, _ flags: Int32,
    _ address: UnsafeMutablePointer<sockaddr>?, _ length: UnsafeMutablePointer<socklen_t>?
) -> Int {
    guard count <= room else { return next_recvfrom_chk(fd, bytes, count, room, flags, address, length) }
    return shimRecvfrom(fd, bytes, count, flags, address, length)
}

/// The result of a call that was to read, as TCP would give it.
private func received(_ fd: Int32, _ result: Int, wanted: Bool) -> Int {
    guard result <= 0 else { return result }
    if result == 0 {
        let error = wanted ? StreamEnd.takeError(fd) : 0
        return error == 0 ? 0 : Int(fail(error))
    }
    return shim_errno() == ECONNRESET ? Int(fail(StreamEnd.meaningOfReset(fd))) : result
}

private func wantsBytes(_ parts: UnsafePointer<iovec>?, _ count: Int32) -> Bool {
    guard let parts, count > 0 else { return false }
    for index in 0..<Int(count) where parts[index].iov_len > 0 { return true }
    return false
}

/// Whether out-of-band data is asked for or sent, on a stream of this library: there is none.
func isUrgent(_ flags: Int32, _ fd: Int32) -> Bool {
    flags & outOfBand != 0 && isStream(fd)
}

/// Whether the descriptor is a connection of this library.
func isStream(_ fd: Int32) -> Bool {
    switch Identity(of: fd) {
    case .accepted, .connected: return true
    case .foreign, .listener: return false
    }
}

// MSG_OOB: glibc has it as an enum, musl as a macro.
private let outOfBand: Int32 = 1
