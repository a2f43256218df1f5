// SPDX-License-Identifier: Apache-2.0
import CBench
import CShim
import Foundation

/// A queue of somebody else's, built from `peers/` (Sources/CBench/include/contender.h).
final class ForeignQueue: Carrier {
    private let table: UnsafePointer<contender>
    let name: String
    let batch: Int
    let sleeps: Bool

    private init(_ table: UnsafePointer<contender>) {
        self.table = table
        name = String(cString: table.pointee.name)
        batch = Int(table.pointee.batch)
        sleeps = table.pointee.sleeps != 0
    }

    /// What a built library offers.
    /// - Throws: ``BenchError`` where it cannot be loaded, or is made for another version. Nothing of it is unloaded
    ///   again: its queues are used until this program ends.
    static func load(_ path: String) throws -> [ForeignQueue] {
        guard let library = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw BenchError(tried: "load \(path)", happened: String(cString: dlerror()), remedy: "build it again")
        }
        guard let symbol = dlsym(library, "ringway_contender") else {
            throw BenchError(
                tried: "load \(path)", happened: "it has no ringway_contender", remedy: "see peers/README.md")
        }
        typealias Offer = @convention(c) (UInt32) -> UnsafePointer<contender>?
        let offer = unsafeBitCast(symbol, to: Offer.self)
        var queues: [ForeignQueue] = []
        while let table = offer(UInt32(queues.count)) {
            guard table.pointee.version == UInt32(RINGWAY_CONTENDER_VERSION) else {
                throw BenchError(
                    tried: "load \(path)", happened: "it is made for version \(table.pointee.version) of the table",
                    remedy: "build it again")
            }
            queues.append(ForeignQueue(table))
        }
        return queues
    }

    /// - Parameter folder: where `mk/bench-peers.sh` has put them.
    /// - Returns: those that are there, and what is to be said of those that are not.
    static func all(in folder: String) -> (queues: [ForeignQueue], missing: [String]) {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        var (queues, missing): ([ForeignQueue], [String]) = ([], [])
        for file in files.sorted() where file.hasSuffix(".so") {
            do { queues += try load("\(folder)/\(file)") } catch { missing.append("\(error)") }
        }
        let built = Set(files.filter { $0.hasSuffix(".so") }.map { $0.dropLast(3) })
        for file in files.sorted() where file.hasSuffix(".log") && !built.contains(file.dropLast(4)) {
            missing.append("\(file.dropLast(4)): its headers or libraries are not on this machine (\(folder)/\(file))")
        }
        if files.isEmpty { missing.append("every queue of peers/: \(folder) has none (mk/bench-peers.sh builds them)") }
        return (queues, missing)
    }

    func open(message: Int) throws -> CarrierChannel? {
        let size = cb_contender_size(table, message)
        guard size > 0 else { return nil }
        let area = try SharedArea(size)
        let error = cb_contender_prepare(table, area.base, message)
        guard error == 0 else {
            throw BenchError(
                tried: "prepare \(name) for \(message) bytes", happened: String(cString: strerror(error)),
                remedy: "leave it out with --only")
        }
        return Channel(table: table, area: area, message: message)
    }

    private struct Channel: CarrierChannel {
        let table: UnsafePointer<contender>
        let area: SharedArea
        let message: Int

        func produce(count: Int) { cb_contender_produce(table, area.base, message, UInt64(count)) }
        func consume(count: Int) -> UInt64 { cb_contender_consume(table, area.base, message, UInt64(count)) }
        func send(_ bytes: UnsafeRawBufferPointer) {
            guard let base = bytes.baseAddress else { return }
            cb_contender_send(table, area.base, message, base)
        }
        func receive(_ bytes: UnsafeMutableRawBufferPointer) {
            guard let base = bytes.baseAddress else { return }
            cb_contender_receive(table, area.base, message, base)
        }
    }
}
