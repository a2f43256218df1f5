// SPDX-License-Identifier: Apache-2.0

/// One of the two streams of a connection in the URB phase.
public enum PDUStream: Equatable, Sendable {
    /// From the importer to the exporter: CMD_SUBMIT and CMD_UNLINK.
    case commands
    /// From the exporter to the importer: RET_SUBMIT and RET_UNLINK.
    case replies
}
