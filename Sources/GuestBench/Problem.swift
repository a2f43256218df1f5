// SPDX-License-Identifier: Apache-2.0
import CShim

/// Why there is no figure.
struct Problem: Error {
    let status: Int32
    let text: String

    init(status: Int32, text: String) {
        self.status = status
        self.text = text
    }

    /// A call on `path` failed, and errno says why.
    init(_ tried: String, _ path: String) {
        var buffer = [CChar](repeating: 0, count: 128)
        buffer.withUnsafeMutableBufferPointer {
            if let start = $0.baseAddress { cs_strerror(cs_errno(), start, $0.count) }
        }
        let why = buffer.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        self.init(status: 74, text: "could not " + tried + " " + path + ": " + why)
    }
}

enum Standard {
    /// Writes all of it, or as much as the descriptor takes.
    static func write(_ fd: Int32, _ text: String) {
        let bytes = Array(text.utf8)
        var done = 0
        bytes.withUnsafeBufferPointer { buffer in
            while done < buffer.count, let start = buffer.baseAddress {
                let count = CShim.write(fd, start + done, buffer.count - done)
                if count <= 0 { break }
                done += count
            }
        }
    }
}
