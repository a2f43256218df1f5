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
    public init(stringInterpolation interpolation: StringInterpolation) { text = interpolation.text }
    public init(_ text: String) { self.text = text }

    @inline(never)
    public static func + (left: Message, right: Message) -> Message { Message(left.text + right.text) }

    public struct StringInterpolation: StringInterpolationProtocol {
        var text: String

        @inline(never)
        public init(literalCapacity: Int, interpolationCount: Int) { text = "" }

        public typealias StringLiteralType = StaticString

        /// The compiler asks for the empty pieces before, behind and between values, too; they cost no call.
        @inline(__always)
        public mutating func appendLiteral(_ literal: StaticString) {
            if literal.utf8CodeUnitCount > 0 { append(literal.utf8Start) }
        }

        @inline(never)
        @usableFromInline
        mutating func append(_ start: UnsafePointer<UInt8>) { text += String(text: start) }

        @inline(never)
        public mutating func appendInterpolation(_ value: String) { text += value }

        @inline(never)
        public mutating func appendInterpolation(_ value: Int) {
            if value < 0 { text += "-" }
            text += digits(UInt64(value.magnitude))
        }

        public mutating func appendInterpolation(_ value: Int32) { appendInterpolation(Int(value)) }
        public mutating func appendInterpolation(_ value: UInt32) { appendInterpolation(Int(value)) }
        public mutating func appendInterpolation(_ value: UInt16) { appendInterpolation(Int(value)) }

        @inline(never)
        public mutating func appendInterpolation(_ value: UInt64) { text += digits(value) }
    }
}

extension String {
    /// The text of a literal. A zero stands behind it (`StaticString.utf8Start`), so no call has to say its length.
    @inline(never)
    @usableFromInline
    init(text start: UnsafePointer<UInt8>) {
        self.init(terminated: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
    }
}

/// The text of an interpolation.
@inline(never)
public func compose(_ message: Message) -> String { message.text }
