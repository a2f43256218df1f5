// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// Results go to stdout, everything else to stderr.
enum Output {
    /// - Returns: 74 when stdout cannot take it (a closed pipe, a full disk), and says so.
    @discardableResult
    static func result(_ text: String) -> ExitCode {
        if write(1, text) { return .success }
        let why = Diagnostic.system("writing the result", cs_errno(), "give it a place that can take it")
        error(compose("ringway: \(why.message)\n"))
        return .ioError
    }

    static func error(_ text: String) { _ = write(2, text) }

    @inline(never)
    private static func write(_ fd: Int32, _ text: String) -> Bool {
        let bytes = text.copyBytes()
        return bytes.withUnsafeBufferPointer { writeAll(fd, UnsafeRawBufferPointer($0)) }
    }

    /// Writes everything, whatever the descriptor takes at a time.
    static func writeAll(_ fd: Int32, _ bytes: UnsafeRawBufferPointer) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = CShim.write(fd, bytes.baseAddress! + done, bytes.count - done)
            if count < 0, cs_errno() == EINTR { continue }
            if count <= 0 { return false }
            done += count
        }
        return true
    }
}
