// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Tells a waiting person what the rig does and how long it took: one line a step, on stderr by default.
///
///     [   0.0 s] kernel packages …
///     [   7.4 s] kernel packages: 4 unpacked (7.4 s)
public final class Progress: Sendable {
    private let start = ContinuousClock.now
    private let write: @Sendable (String) -> Void

    /// A progress that hands each line, without its newline, to `write`.
    public init(write: @escaping @Sendable (String) -> Void) { self.write = write }

    /// Lines on standard error, so that standard output keeps the results alone.
    public convenience init() {
        self.init { line in FileHandle.standardError.write(Data((line + "\n").utf8)) }
    }

    /// Says nothing: for tests.
    public static let silent = Progress { _ in }

    /// Seconds since this progress began.
    public var elapsed: Double { Self.seconds(ContinuousClock.now - start) }

    /// One line with the time since the beginning.
    public func note(_ text: String) { write("[\(Self.fixed(elapsed, width: 6)) s] \(text)") }

    /// Announces a step, does it, and says how long it took. A step that throws says that it failed.
    @discardableResult
    public func step<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
        note("\(name) …")
        let began = ContinuousClock.now
        do {
            let value = try body()
            note("\(name): done (\(Self.fixed(Self.seconds(ContinuousClock.now - began))) s)")
            return value
        } catch {
            note("\(name): failed (\(Self.fixed(Self.seconds(ContinuousClock.now - began))) s)")
            throw error
        }
    }

    static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }

    static func fixed(_ seconds: Double, width: Int = 0) -> String {
        let text = String(format: "%.1f", seconds)
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
