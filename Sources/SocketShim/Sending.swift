// SPDX-License-Identifier: Apache-2.0
import CSocketShim

// The library's calls that send and can say more than bytes: TCP takes no notice of an address, and out-of-band data
// has no way through a ring.

@c(send)
public func shimSend(_ fd: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: Int32) -> Int {
    if refusesUrgent(flags, fd) { return Int(fail(EOPNOTSUPP)) }
    return next_send(fd, bytes, count, flags)
}

@c(sendto)
public func shimSendto(
    _ fd: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: Int32, _ address: UnsafePointer<sockaddr>?,
    _ length: socklen_t
) -> Int {
    if refusesUrgent(flags, fd) { return Int(fail(EOPNOTSUPP)) }
    let isIgnored = address != nil && isStream(fd)
    return next_sendto(fd, bytes, count, flags, isIgnored ? nil : address, isIgnored ? 0 : length)
}

@c(sendmsg)
public func shimSendmsg(_ fd: Int32, _ message: UnsafePointer<msghdr>?, _ flags: Int32) -> Int {
    if refusesUrgent(flags, fd) { return Int(fail(EOPNOTSUPP)) }
    guard let message, message.pointee.msg_name != nil, isStream(fd) else { return next_sendmsg(fd, message, flags) }
    var unnamed = message.pointee
    unnamed.msg_name = nil
    unnamed.msg_namelen = 0
    return next_sendmsg(fd, &unnamed, flags)
}

private func refusesUrgent(_ flags: Int32, _ fd: Int32) -> Bool {
    guard isUrgent(flags, fd) else { return false }
    Trace.note("send", fd, "out-of-band data is refused: a ring has no way for it")
    return true
}
