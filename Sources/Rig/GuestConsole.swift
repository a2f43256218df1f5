// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What one guest prints on its console from one start on, in the file that QEMU writes it to.
struct GuestConsole {
    let guest: String
    let log: URL
    /// What QEMU itself has to say.
    let qemuLog: URL

    /// All of it so far.
    var text: String { (try? Self.text(of: log)) ?? "" }

    /// Waits until `wanted` has been printed.
    /// - Parameter status: how the QEMU has ended; nil while it runs.
    func wait(for wanted: String, limit: Duration, status: () -> Int32?) throws {
        let deadline = ContinuousClock.now + limit
        let follower = ConsoleFollower(log)
        let changes = try FolderWatch(log.deletingLastPathComponent())
        while !follower.contains(wanted) {
            if let status = status() {
                if follower.contains(wanted) { return }
                throw failure(waitingFor: wanted, "QEMU ended with status \(status)")
            }
            guard ContinuousClock.now < deadline else {
                throw failure(waitingFor: wanted, "it had not after \(Progress.fixed(Progress.seconds(limit))) s")
            }
            // QEMU may end without a word: look at it from time to time.
            changes.wait(.milliseconds(200))
        }
    }

    private func failure(waitingFor wanted: String, _ happened: String) -> RigError {
        let words = HostCommand.tail((try? Self.text(of: qemuLog)) ?? "", lines: 4)
        return RigError(
            tried: "see \"\(wanted)\" on the console of \(guest)",
            happened: "\(happened); the console ends:\n\(HostCommand.tail(text))\nQEMU said:\n\(words)\n",
            remedy: "read \(log.path)")
    }

    private static func text(of url: URL) throws -> String {
        String(decoding: try Data(contentsOf: url), as: UTF8.self).replacingOccurrences(of: "\r", with: "")
    }
}

/// Looks for text in a console's log, reading only what is new.
private final class ConsoleFollower {
    private let url: URL
    private var seen = Data()
    private var handle: FileHandle?

    init(_ url: URL) { self.url = url }

    func contains(_ text: String) -> Bool {
        if handle == nil { handle = try? FileHandle(forReadingFrom: url) }
        if let new = try? handle?.readToEnd() { seen.append(new) }
        return seen.range(of: Data(text.utf8)) != nil
    }
}
