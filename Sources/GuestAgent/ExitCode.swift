// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// How `ringway` ends; the numbers of sysexits.h. `ringway run` returns the program's own status instead.
enum ExitCode: Int32 {
    case success = 0
    /// The command line is wrong.
    case usage = 64
    /// A section or a file holds what it should not.
    case badContent = 65
    /// No such device, section or file.
    case noSuch = 66
    /// The agent, or the peer, cannot be reached, or another agent is in the way.
    case unavailable = 69
    /// A system call failed.
    case ioError = 74
    /// What was received breaks the protocol.
    case badProtocol = 76
    case notPermitted = 77
    /// The configuration is wrong.
    case badConfiguration = 78
    /// `run`: the program was found but cannot be run.
    case cannotRun = 126
    /// `run`: no such program.
    case programNotFound = 127
}
