// SPDX-License-Identifier: Apache-2.0
import CShim

/// Why a section, a doorbell or other memory could not be opened: a local fault, which ends the agent.
public struct TransportError: Error, Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// No such device, file or region.
        case noSuch
        case notPermitted
        /// The region is smaller than what was asked of it.
        case tooSmall
        /// The thing is there, but is not of the kind that it should be.
        case badContent
        case inUse
        case io
        /// The specification cannot be understood.
        case badSpecification
    }

    public let kind: Kind
    /// What was tried, what happened, what to do.
    public let message: String

    @inline(never)
    public init(_ kind: Kind, _ message: Message) {
        self.kind = kind
        self.message = message.text
    }

    /// A failed system call; `kind` is what it is when errno says nothing more exact.
    @inline(never)
    public static func system(
        _ kind: Kind, _ tried: Message, _ error: Int32, _ remedy: String = ""
    ) -> TransportError {
        let exact: Kind
        switch error {
        case EACCES, EPERM: exact = .notPermitted
        case ENOENT, ENODEV, ENXIO: exact = .noSuch
        case EBUSY: exact = .inUse
        default: exact = kind
        }
        return TransportError(exact, "\(tried.text): \(systemMessage(error))\(remedy.isEmpty ? "" : "; " + remedy)")
    }
}

/// The system's words for an errno.
@inline(never)
public func systemMessage(_ error: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    return buffer.withUnsafeMutableBufferPointer {
        cs_strerror(error, $0.baseAddress!, $0.count)
        return String(terminated: $0.baseAddress!)
    }
}
