// SPDX-License-Identifier: Apache-2.0
import CShim

/// A benchmark that cannot go on.
struct BenchError: Error, CustomStringConvertible {
    let tried: String
    let happened: String
    let remedy: String

    var description: String { "could not \(tried): \(happened); \(remedy)" }

    /// Of a system call that has just failed.
    static func system(_ tried: String, _ remedy: String) -> BenchError {
        BenchError(tried: tried, happened: String(cString: strerror(cs_errno())), remedy: remedy)
    }
}
