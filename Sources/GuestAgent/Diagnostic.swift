// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport

/// An error that ends a command: one line that says what was tried, what happened, what to do.
final class Diagnostic: Error, Equatable {
    let exitCode: ExitCode
    let message: String
    /// The same may succeed a moment later.
    let mayPass: Bool

    @inline(never)
    init(_ exitCode: ExitCode, _ message: Message, mayPass: Bool = false) {
        self.exitCode = exitCode
        self.message = message.text
        self.mayPass = mayPass
    }

    /// A failed system call.
    /// - Parameters:
    ///   - tried: what was tried, such as "listening on /run/x". - error: errno. - remedy: what to do.
    @inline(never)
    static func system(_ tried: Message, _ error: Int32, _ remedy: String) -> Diagnostic {
        let code: ExitCode
        switch error {
        case EACCES, EPERM: code = .notPermitted
        case ENOENT, ENODEV, ENXIO: code = .noSuch
        default: code = .ioError
        }
        return Diagnostic(code, "\(tried.text): \(systemMessage(error)); \(remedy)")
    }

    init(_ error: TransportError) {
        switch error.kind {
        case .noSuch: exitCode = .noSuch
        case .notPermitted: exitCode = .notPermitted
        case .tooSmall, .badSpecification: exitCode = .badConfiguration
        case .badContent: exitCode = .badContent
        case .inUse: exitCode = .unavailable
        case .io: exitCode = .ioError
        }
        message = error.message
        mayPass = false
    }

    static func == (left: Diagnostic, right: Diagnostic) -> Bool {
        left.exitCode == right.exitCode && left.message == right.message && left.mayPass == right.mayPass
    }

    func report() { Output.error(compose("ringway: \(message)\n")) }
}
