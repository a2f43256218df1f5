// SPDX-License-Identifier: Apache-2.0
import Foundation

/// A person's or a script's way into a guest that was kept.
public struct GuestTerminal {
    private let machine: KeptMachine

    public init(_ machine: KeptMachine) { self.machine = machine }

    /// Runs one command, prints what it prints, and returns its status.
    public func run(_ command: String, timeLimit: Duration) throws -> Int32 {
        let output = try GuestShell(guest: machine.name, path: machine.sockets.shell).run(
            command, timeLimit: timeLimit)
        FileHandle.standardOutput.write(Data(output.text.utf8))
        return Int32(output.status)
    }

    /// Connects this terminal with the guest's console until Ctrl-] or the end of the input.
    public func interact() throws {
        let socket = try UnixSocket.connect(to: machine.sockets.console)
        var saved = termios()
        let isTerminal = tcgetattr(STDIN_FILENO, &saved) == 0
        if isTerminal {
            var raw = saved
            cfmakeraw(&raw)
            tcsetattr(STDIN_FILENO, TCSANOW, &raw)
        }
        defer { if isTerminal { tcsetattr(STDIN_FILENO, TCSANOW, &saved) } }
        // The guest starts its shell at the first Enter, and a shell that is there prints its prompt.
        guard socket.send([13]) else { return }
        while Self.relay(socket) {}
    }

    private static let escape: UInt8 = 0x1d

    /// Copies what is there, in both directions; false at the end of either.
    private static func relay(_ socket: UnixSocket) -> Bool {
        var entries = [STDIN_FILENO, socket.descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, 2, -1) > 0 else { return errno == EINTR }
        if entries[1].revents != 0 {
            guard let bytes = socket.receive(), !bytes.isEmpty else { return false }
            FileHandle.standardOutput.write(Data(bytes))
        }
        if entries[0].revents != 0 {
            let bytes = [UInt8](FileHandle.standardInput.availableData)
            guard !bytes.isEmpty, !bytes.contains(escape) else { return false }
            return socket.send(bytes)
        }
        return true
    }
}
