// SPDX-License-Identifier: Apache-2.0
import CSocketShim

/// Asks the agent for the ring of a connection, which is made, and of which no byte has been sent.
///
/// The agent tells what to say as the stream's first bytes; so it knows which connection is meant, and that whoever
/// asks has it. Then it sends the descriptors by which the ring is mapped. One that does not do direct mode says so
/// before anything has been said on the stream.
@c(shim_direct_ask)
func askForRing(_ fd: Int32) {
    guard Settings.isDirect, shim_direct_has_room(fd) != 0, let service = service(of: fd), service != 3240,
        !Kernel.isFollowed(fd), Kernel.option(fd, SOL_SOCKET, SO_RCVLOWAT) == 1,
        raw_fcntl(fd, F_GETFL, 0) & O_ASYNC == 0
    else { return }
    let control = Temporary.stream()
    // A data path that is stopped keeps nobody waiting.
    if control.fd >= 0, raw_fcntl(control.fd, F_SETFL, Int(O_NONBLOCK)) == 0 { ask(fd, control.fd) }
    control.close()
}

private func service(of fd: Int32) -> UInt16? {
    switch Identity(of: fd) {
    case .foreign, .listener: return nil
    case .accepted(let service, _): return service
    case .connected(_, let remote): return Settings.service(ofPort: remote.port)
    }
}

private struct Words {
    var magic: UInt64 = 0x3143_5752
    var length: UInt64 = 0
    var first: UInt64 = 0
    var second: UInt64 = 0
}

private struct Grant {
    var magic: UInt64 = 0
    var length: UInt64 = 0
    var grant = shim_grant()
}

private func ask(_ fd: Int32, _ control: Int32) {
    var path = Text()
    Settings.appendPath("/agent.sock", to: &path)
    guard let address = UnixAddress(path, isPath: true), address.connect(control) == 0 else { return }
    // DIRECT, operation 5.
    var request: (UInt64, UInt64) = (0x5_0000_0000 | 0x3143_5752, 0)
    guard raw_send(control, &request, 16) == 16 else { return }
    var words = Words()
    guard isThere(control, fd), raw_receive(control, &words, 16) == 16, words.magic == 0x3143_5752, words.length == 16,
        raw_receive(control, &words.first, 16) == 16
    else { return }
    guard raw_send(fd, &words.first, 16) == 16, isThere(control, fd) else { return }
    var answer = Grant()
    var descriptors: InlineArray<3, Int32> = [-1, -1, -1]
    // No child that another thread forks has them.
    var mask: UInt64 = 0
    shim_begin_change(&mask)
    defer { shim_end_change(&mask) }
    var span = descriptors.mutableSpan
    span.withUnsafeMutableBufferPointer { room in
        let places = room.baseAddress.unsafelyUnwrapped
        guard raw_receive_grant(control, &answer, MemoryLayout<Grant>.size, places) == MemoryLayout<Grant>.size else {
            return Trace.note("direct", fd, "stays with the agent")
        }
        shim_direct_begin(fd, control, &answer.grant, places)
        Trace.note("direct", fd, "uses its ring")
    }
}

/// Waits for the agent, but not for one that has closed the stream.
private func isThere(_ control: Int32, _ stream: Int32) -> Bool {
    for _ in 0..<100 {
        if raw_poll(control, Int32(POLLIN), 2) > 0 { return true }
        if raw_poll(stream, 0, 0) & Int32(POLLHUP) != 0 { return false }
    }
    return false
}
