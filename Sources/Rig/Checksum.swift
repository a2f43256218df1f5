// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Checksums of files, by coreutils: the rig hashes tens of megabytes, and needs no code of its own for that.
enum Checksum {
    static func sha256(_ file: URL) throws -> String { try of([file], program: "sha256sum")[0] }

    /// One sum a file, in order. `program` is one of coreutils' `*sum`.
    static func of(_ files: [URL], program: String) throws -> [String] {
        guard !files.isEmpty else { return [] }
        // --zero: without it a backslash in a name changes the line's form.
        let output = try HostCommand(program, ["--zero", "--"] + files.map(\.path)).check()
        let sums = output.standardOutput.split(separator: 0).map {
            String(decoding: $0.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        }
        guard sums.count == files.count else {
            throw RigError(
                tried: "hash \(files.count) files with \(program)", happened: "\(sums.count) sums came back",
                remedy: "check that \(program) is that of coreutils")
        }
        return sums
    }
}
