// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Everything that a set of programs needs in order to start: libraries by DT_NEEDED, transitively, and the
/// program interpreters. Read from the files: `ldd` would run them, and cannot for another architecture.
struct ElfClosure {
    /// The file of each library, by the name under which it is asked for.
    private(set) var libraries: [String: URL] = [:]
    /// The file of each interpreter, by the absolute path that the programs name.
    private(set) var interpreters: [String: URL] = [:]

    /// - Parameters:
    ///   - folders: where libraries are looked for, first match first.
    ///   - roots: below which an interpreter's absolute path is looked up.
    init(of programs: [URL], folders: [URL], roots: [URL]) throws {
        var pending: [(URL, ElfFile)] = []
        for program in programs {
            guard let file = try ElfFile(reading: program) else {
                throw RigError(
                    tried: "find the libraries of \(program.path)", happened: "it is no ELF file",
                    remedy: "list it as a plain file")
            }
            pending.append((program, file))
        }
        while let (url, file) = pending.popLast() {
            if let path = file.interpreter, interpreters[path] == nil {
                interpreters[path] = try Self.interpreter(path, roots: roots, of: url)
            }
            for name in file.needed where libraries[name] == nil {
                let (library, contents) = try Self.library(name, folders: folders, machine: file.machine, of: url)
                libraries[name] = library
                pending.append((library, contents))
            }
        }
    }

    private static func library(
        _ name: String, folders: [URL], machine: UInt16, of user: URL
    ) throws -> (URL, ElfFile) {
        for folder in folders {
            let candidate = folder.appendingPathComponent(name)
            guard FileManager.default.fileExists(atPath: candidate.path), let file = try ElfFile(reading: candidate),
                file.machine == machine
            else { continue }
            return (candidate, file)
        }
        throw RigError(
            tried: "find the libraries of \(user.path)", happened: "no folder holds \(name)",
            remedy: "add the package that holds it")
    }

    private static func interpreter(_ path: String, roots: [URL], of user: URL) throws -> URL {
        for root in roots {
            if let file = RootedPath.find(path, below: root) { return file }
        }
        throw RigError(
            tried: "find the interpreter of \(user.path)", happened: "no package holds \(path)",
            remedy: "add the package that holds it")
    }
}
