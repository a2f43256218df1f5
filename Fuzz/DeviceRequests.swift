// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

@testable import GuestAgent

/// A device manager whose children are all busy, so that no request touches a device of this machine.
nonisolated(unsafe) private let manager: DeviceManager = {
    guard let manager = try? DeviceManager.open(DeviceSettings(runtimeDirectory: scratchFolder())) else {
        say("fuzz: no device manager: \(cs_errno())")
        exit(74)
    }
    for _ in 0..<DeviceManager.maximumJobs {
        manager.jobs.append(ManagerJob(pid: .max, task: .sweep, deadline: .max))
    }
    return manager
}()

/// Programs that say anything to `devices.sock`, in any pieces: each line is answered with an exit code in a line of
/// its own, and what is kept of it can be read again.
func fuzzDeviceRequests(_ input: inout Input) {
    var programs: [(socket: Int32, answer: [UInt8])] = []
    while !input.isEmpty {
        let what = input.byte()
        switch what & 7 {
        case 0: if programs.count < 5 { programs.append((connect(), [])) }
        case 1 where !programs.isEmpty: close(programs.remove(at: input.below(programs.count)).socket)
        case 2, 3: send(&programs, line(&input))
        case 4: send(&programs, Array("\n".utf8))
        default: send(&programs, input.bytes(1 + Int(what >> 3)))
        }
        turn()
        for i in programs.indices { hear(&programs[i]) }
    }
    for program in programs { close(program.socket) }
    turn()
    must(manager.clients.isEmpty, "a program that is gone is kept")
    forget()
}

private func line(_ input: inout Input) -> [UInt8] {
    let verbs = ["export", "match", "unexport", "attach", "forget", "rules", "status", ""]
    let rules = ["1-1", "46f4:0001", "46F4:00ab:SERIAL", "serial:x", "1-1.4", "usb1", "46f4:", ""]
    let blank = input.byte() < 0xE0 ? " " : "\t  "
    let text = verbs[input.below(8)] + blank + rules[input.below(8)]
    return Array(text.utf8) + input.bytes(input.byte() < 0xC0 ? 0 : 3) + (input.byte() < 0xC0 ? [0x0A] : [])
}

private func connect() -> Int32 { LocalSocket.connect(scratchFolder() + "/devices.sock") }

private func send(_ programs: inout [(socket: Int32, answer: [UInt8])], _ bytes: [UInt8]) {
    if programs.isEmpty { programs.append((connect(), [])) }
    guard let program = programs.last else { return }
    _ = bytes.withUnsafeBufferPointer {
        CShim.send(program.socket, $0.baseAddress, $0.count, cs_msg_dontwait() | cs_msg_nosignal())
    }
}

private func turn() {
    for _ in 0..<2 {
        var list = manager.descriptors()
        _ = list.withUnsafeMutableBufferPointer { poll($0.baseAddress, nfds_t($0.count), 0) }
        manager.serve(list[...])
    }
    must(manager.clients.count <= DeviceManager.maximumClients, "too many programs")
}

private func hear(_ program: inout (socket: Int32, answer: [UInt8])) {
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    defer { room.deallocate() }
    let count = recv(program.socket, room.baseAddress, room.count, cs_msg_dontwait())
    if count > 0 { program.answer += room[..<count] }
    guard !program.answer.isEmpty else { return }
    let code = program.answer.prefix { $0 != 0x0A }
    must(code.count < program.answer.count, "an answer without its first line")
    must(Int32(String(decoding: code, as: UTF8.self)) != nil, "no exit code: \(program.answer)")
}

/// The next input finds no rules.
private func forget() {
    let book = manager.book
    for rule in book.exports { _ = book.remove(rule, .export) }
    for rule in book.attachments { _ = book.remove(rule, .attach) }
    must(book.text.isEmpty, "a rule that cannot be removed: \(book.text)")
}
