// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// How the sides wake each other: `none`, `uio:NAME` or `eventfd:RX,TX`.
public enum DoorbellSpecification: Equatable, Sendable {
    /// No doorbell: this side polls.
    case none
    /// The interrupt of a UIO device, and the register page in its map 0.
    case uio(name: String)
    /// Two inherited eventfds: one that wakes this side, one that wakes the peer.
    case eventfd(receive: Int32, send: Int32)

    /// - Throws: kind `badSpecification`.
    public init(parsing text: String) throws(TransportError) {
        if text == "none" {
            self = .none
            return
        }
        if let name = text.rest(after: "uio:"), !name.isEmpty {
            self = .uio(name: name)
            return
        }
        if let numbers = text.rest(after: "eventfd:")?.cut(at: ","),
            let receive = number(numbers.before, in: 0...Int(Int32.max)),
            let send = number(numbers.behind, in: 0...Int(Int32.max)), receive != send
        {
            self = .eventfd(receive: Int32(receive), send: Int32(send))
            return
        }
        throw TransportError(
            .badSpecification,
            "`\(text)` is no doorbell: write none, uio:NAME or eventfd:RX,TX with two different numbers")
    }

    public var text: String {
        switch self {
        case .none: return "none"
        case .uio(let name): return compose("uio:\(name)")
        case .eventfd(let receive, let send): return compose("eventfd:\(receive),\(send)")
        }
    }
}

/// A doorbell is a hint: it may be lost, merged with another, or false.
public final class Doorbell {
    /// Offsets in ivshmem's register page (QEMU, docs/specs/ivshmem-spec.rst).
    static let ivshmemPosition = 8
    static let ivshmemDoorbell = 12

    public let name: String
    /// Becomes readable when this side is woken; -1: there is none, and this side polls.
    public let descriptor: Int32
    private let sendDescriptor: Int32
    private let registers: UnsafeMutableRawPointer?

    private init(name: String, descriptor: Int32, send: Int32, registers: UnsafeMutableRawPointer?) {
        self.name = name
        self.descriptor = descriptor
        sendDescriptor = send
        self.registers = registers
    }

    deinit {
        if let registers {
            munmap(registers, 4096)
            close(descriptor)
        }
    }

    public static func open(
        _ specification: DoorbellSpecification, sysfsRoot: String = "/sys", deviceRoot: String = "/dev"
    ) throws(TransportError) -> Doorbell {
        switch specification {
        case .none: return Doorbell(name: specification.text, descriptor: -1, send: -1, registers: nil)
        case .eventfd(let receive, let send):
            try adopt(receive)
            try adopt(send)
            return Doorbell(name: specification.text, descriptor: receive, send: send, registers: nil)
        case .uio(let name):
            return try openUIO(name, sysfsRoot: sysfsRoot, deviceRoot: deviceRoot)
        }
    }

    /// Takes an inherited eventfd. Anything else with that number would be read and written as one.
    private static func adopt(_ fd: Int32) throws(TransportError) {
        var target = [CChar](repeating: 0, count: 64)
        let count = target.withUnsafeMutableBufferPointer { room in
            compose("/proc/self/fd/\(fd)").withCString { readlink($0, room.baseAddress!, room.count - 1) }
        }
        guard count > 0 else {
            throw TransportError(
                .noSuch,
                "using descriptor \(fd) as a doorbell: this process has inherited none of that number; pass an eventfd")
        }
        let kind = target.withUnsafeBufferPointer { String(terminated: $0.baseAddress!) }
        guard kind == "anon_inode:[eventfd]" else {
            throw TransportError(
                .badContent, "using descriptor \(fd) as a doorbell: it is \(kind), no eventfd; pass an eventfd")
        }
        guard cs_fcntl_int(fd, F_SETFL, O_NONBLOCK) == 0, cs_fcntl_int(fd, F_SETFD, FD_CLOEXEC) == 0 else {
            throw .system(.io, "preparing descriptor \(fd) as a doorbell", cs_errno(), "pass an eventfd")
        }
    }

    private static func openUIO(
        _ name: String, sysfsRoot: String, deviceRoot: String
    ) throws(TransportError) -> Doorbell {
        let device = try UIOBackend.find(name, sysfsRoot: sysfsRoot)
        let path = compose("\(deviceRoot)/\(device)")
        let fd = path.withCString { cs_open($0, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0) }
        guard fd >= 0 else { throw .system(.io, "opening \(path) (doorbell uio:\(name))", cs_errno(), "run as root") }
        let registers = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
        guard let registers, registers != cs_map_failed() else {
            let error = cs_errno()
            close(fd)
            throw .system(.io, "mapping the doorbell page of \(path)", error, "check the UIO driver")
        }
        let doorbell = Doorbell(name: compose("uio:\(name)"), descriptor: fd, send: -1, registers: registers)
        guard doorbell.rearm() else {
            throw .system(
                .badContent, "enabling the interrupt of \(path)", cs_errno(),
                "the device has none: use `doorbell = none`, or ivshmem-doorbell")
        }
        return doorbell
    }

    /// What the peer must be told to wake this side; 0 where the doorbell needs nothing of the kind. Read
    /// anew each time: a device that was plugged again has another.
    public var ownIdentifier: UInt32 {
        guard let registers else { return 0 }
        return SharedWord32(registers + Self.ivshmemPosition).loadRelaxed()
    }

    /// Wakes the peer.
    /// - Parameter peerIdentifier: what its header names; any word.
    public func ring(peerIdentifier: UInt32) {
        // Full fence: what was published in cached memory is visible before the store to the device, which
        // is not ordered against it on arm64. Pairs with the acquire loads that the woken side makes.
        fullFence()
        if let registers {
            // Peer and vector 0, 16 bits each.
            SharedWord32(registers + Self.ivshmemDoorbell).storeRelaxed(peerIdentifier << 16)
            return
        }
        guard sendDescriptor >= 0 else { return }
        var one: UInt64 = 1
        // EAGAIN: the counter is full, so the peer has enough to wake for.
        _ = withUnsafePointer(to: &one) { write(sendDescriptor, $0, 8) }
    }

    /// Takes note of being woken, and lets the next interrupt through.
    /// - Returns: how often the doorbell was rung, as far as it tells; 0 when it was false.
    public func drain() -> UInt32 {
        if registers != nil {
            var count: UInt32 = 0
            let bytes = withUnsafeMutablePointer(to: &count) { read(descriptor, $0, 4) }
            // Unmask after the read: an interrupt in between is kept by the device and comes then.
            _ = rearm()
            return bytes == 4 ? 1 : 0
        }
        guard descriptor >= 0 else { return 0 }
        var count: UInt64 = 0
        let bytes = withUnsafeMutablePointer(to: &count) { read(descriptor, $0, 8) }
        return bytes == 8 ? UInt32(clamping: count) : 0
    }

    /// Unmasks a UIO interrupt. - Returns: false when the device has none.
    private func rearm() -> Bool {
        var one: UInt32 = 1
        return withUnsafePointer(to: &one) { write(descriptor, $0, 4) } == 4
    }
}
