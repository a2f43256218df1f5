// SPDX-License-Identifier: Apache-2.0
import CShim

/// Text put together by interpolation, with every step a call.
///
/// The standard library's interpolation is inlined at each use, which made up a third of the guest's
/// binary; messages need no speed.
public struct Message: ExpressibleByStringInterpolation, Sendable {
    public let text: String

    @inline(__always)
    public init(stringLiteral value: StaticString) {
        self.init(String(text: value.utf8Start))
    }
    @inline(never)
    public init(stringInterpolation interpolation: StringInterpolation) { text = interpolation.text }
    public init(_ text: String) { self.text = text }

    @inline(never)
    public static func + (left: Message, right: Message) -> Message { Message(left.text + right.text) }

    /// Collects the pieces. In a guest's program, which has one thread, they are collected in one place for all, so
    /// that a piece costs the caller no more than its own address and a call: a thousand pieces, and 5 KB.
    public struct StringInterpolation: StringInterpolationProtocol {
        #if hasFeature(Embedded)
        /// One text for each interpolation under way: one may stand within another.
        nonisolated(unsafe) private static var texts: [String] = []
        var text: String { @inline(never) get { Self.texts.removeLast() } }

        @inline(never)
        public init(literalCapacity: Int, interpolationCount: Int) { Self.texts.append("") }

        private func add(_ piece: String) { Self.texts[Self.texts.count - 1] += piece }
        #else
        private(set) var text: String

        public init(literalCapacity: Int, interpolationCount: Int) { text = "" }

        private mutating func add(_ piece: String) { text += piece }
        #endif

        public typealias StringLiteralType = StaticString

        /// The compiler asks for the empty pieces before, behind and between values, too; they cost no call.
        @inline(__always)
        public mutating func appendLiteral(_ literal: StaticString) {
            if literal.utf8CodeUnitCount > 0 { append(literal.utf8Start) }
        }

        @inline(never)
        @usableFromInline
        mutating func append(_ start: UnsafePointer<UInt8>) { add(String(text: start)) }

        @inline(never)
        public mutating func appendInterpolation(_ value: __owned String) { add(value) }

        @inline(never)
        public mutating func appendInterpolation(_ value: Int) {
            if value < 0 { add("-") }
            add(digits(UInt64(value.magnitude)))
        }

        public mutating func appendInterpolation(_ value: Int32) { appendInterpolation(Int(value)) }
        public mutating func appendInterpolation(_ value: UInt32) { appendInterpolation(Int(value)) }
        public mutating func appendInterpolation(_ value: UInt16) { appendInterpolation(Int(value)) }

        @inline(never)
        public mutating func appendInterpolation(_ value: UInt64) { add(digits(value)) }
    }
}

extension String {
    /// The text of a literal. A zero stands behind it (`StaticString.utf8Start`), so no call has to say its length.
    @inline(never)
    public init(text start: UnsafePointer<UInt8>) {
        self.init(terminated: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
    }
}

/// The text of an interpolation.
@inline(never)
public func compose(_ message: Message) -> String { message.text }
