// SPDX-License-Identifier: Apache-2.0

/// Which way bytes go, seen from this guest's kernel.
public enum GuardDirection: Sendable {
    /// From the peer's ring to the local socket.
    case inward
    /// From the local socket to this side's ring.
    case outward
}

/// Whose kernel a guard stands before.
public enum GuardRole: Sendable {
    /// `usbip-host`: commands come in, replies go out.
    case exporter
    /// `vhci_hcd`: replies come in, commands go out.
    case importer
}

/// What a guard makes of bytes that want to pass.
public enum GuardVerdict: Equatable, Sendable {
    /// The first so many bytes go on, as they stand now: the guard may have changed them.
    case pass(Int)
    /// The first so many bytes go nowhere: a reply for which the importer's kernel waits no longer, a withdrawal that
    /// is held.
    case drop(Int)
    /// Nothing can be said of the first byte before more have come.
    case more
    /// The first byte has to wait until the other direction has moved on.
    case wait
    /// The connection must end. Every later question is answered the same.
    case refuse(GuardViolation)
}

/// The bounds that no protocol sets.
public struct GuardLimits: Sendable {
    /// Bytes of one transfer.
    public var transferBytes = PDUFraming.payloadLimit
    /// Bytes of one transfer whose buffer is not scattered: the exporter's kernel takes it in one piece, and warns when
    /// it has no pieces so large (KMALLOC_MAX_SIZE). The importer's has it in one piece, too.
    public var contiguousBytes = 4 << 20
    /// Bytes of memory that the exporter's kernel takes for all requests without an answer. It takes them when a
    /// request comes, whichever way the bytes go, and a device can leave a request unanswered for ever. With those
    /// whose answers it is still sending there may be as many in all.
    public var openBytes = openBytes(ofMemory: .max)

    /// A sixteenth of an exporter's memory, from 4 to 64 MiB: a disk asks for 1 MiB at a time, a radio receiver for 4,
    /// a fast camera for 8, and programs may ask for 16 in all (`usbfs_memory_mb`).
    public static func openBytes(ofMemory memory: UInt64) -> Int {
        min(64 << 20, max(4 << 20, Int(truncatingIfNeeded: memory / 16)))
    }

    /// Commands without an answer. More are refused and not held back: behind them would wait the very CMD_UNLINKs
    /// that make room. A guest's drivers have a few dozen on their way.
    public var outstanding = 1024
    /// The exporter's kernel gets no withdrawal of a request that may be ending just then (`Guard.isHolding`). For an
    /// exporter only.
    public var holdsWithdrawals = false
    /// What a policy allows of a device that is imported; nil for everything.
    public var interfaces: (@Sendable (DeviceRecord) -> InterfaceRules)?

    public init() {}
}
