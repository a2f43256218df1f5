// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer

/// A doorbell is a hint: it may be lost, merged with another, or false.
public final class Doorbell {
    /// Offsets in ivshmem's register page (QEMU, docs/specs/ivshmem-spec.rst).
    static let ivshmemPosition = 8
    static let ivshmemDoorbell = 12
    /// What one wake-up takes from an input device: 64 events of 24 bytes, as many as the kernel keeps for a reader.
    private static let inputEvents = 64 * 24

    public let name: String
    /// Becomes readable when this side is woken; -1: there is none, and this side polls.
    public let descriptor: Int32
    private let kind: DoorbellSpecification.Kind
    /// Through which the peer is woken; -1 where that is a store into a page.
    public let sendDescriptor: Int32
    /// A store into this page wakes the peer.
    private let page: UnsafeMutableRawPointer?
    /// The page is ivshmem's register page.
    private let isIvshmem: Bool

    /// - Parameter page: a mapping of 4096 bytes, which is unmapped with this object, and the descriptor closed.
    init(
        _ specification: DoorbellSpecification, descriptor: Int32, send: Int32 = -1,
        page: UnsafeMutableRawPointer? = nil, isIvshmem: Bool = false
    ) {
        name = specification.text
        kind = specification.kind
        self.descriptor = descriptor
        sendDescriptor = send
        self.page = page
        self.isIvshmem = isIvshmem
    }

    deinit {
        if let page {
            munmap(page, 4096)
            close(descriptor)
        }
    }

    public static func open(
        _ specification: DoorbellSpecification, sysfsRoot: String = "/sys", deviceRoot: String = "/dev"
    ) throws(TransportError) -> Doorbell {
        switch specification.kind {
        case .none: return Doorbell(specification, descriptor: -1)
        case .eventfd:
            let send = Int32(specification.place)
            try adopt(specification.receive)
            try adopt(send)
            return Doorbell(specification, descriptor: specification.receive, send: send)
        case .gpioKeys:
            let event = try DeviceClass.input.find(specification.name, sysfsRoot: sysfsRoot)
            return try open(
                specification, waiting: compose("\(deviceRoot)/input/\(event)"), ringing: deviceRoot + "/mem",
                at: Int(specification.place))
        case .uio, .genericUIO, .connection:
            let device = try DeviceClass.uio.find(specification.name, sysfsRoot: sysfsRoot)
            let ring = try DeviceClass.uio.find(specification.ring, sysfsRoot: sysfsRoot)
            var map = Int(specification.place)
            var isIvshmem = false
            if specification.kind == .uio {
                (map, isIvshmem) = try UIOBackend.doorbellMap(of: device, sysfsRoot: sysfsRoot)
            }
            return try open(
                specification, waiting: compose("\(deviceRoot)/\(device)"), ringing: compose("\(deviceRoot)/\(ring)"),
                at: map * 4096, isIvshmem: isIvshmem)
        }
    }

    /// Takes an inherited eventfd. Anything else with that number would be read and written as one.
    private static func adopt(_ fd: Int32) throws(TransportError) {
        guard let kind = linkTarget(compose("/proc/self/fd/\(fd)")) else {
            throw TransportError(
                .noSuch,
                "using descriptor \(fd) as a doorbell: this process has inherited none of that number; pass an eventfd")
        }
        guard kind == "anon_inode:[eventfd]" else {
            throw TransportError(
                .badContent, "using descriptor \(fd) as a doorbell: it is \(kind), no eventfd; pass an eventfd")
        }
        guard cs_fcntl_int(fd, F_SETFL, O_NONBLOCK) == 0, cs_fcntl_int(fd, F_SETFD, FD_CLOEXEC) == 0 else {
            throw .system(.io, "preparing descriptor \(fd) as a doorbell", cs_errno(), "pass an eventfd")
        }
    }

    /// A doorbell of devices: `waiting` becomes readable when the peer rings, and a store into the page at `offset` of
    /// `ringing` wakes the peer.
    private static func open(
        _ specification: DoorbellSpecification, waiting: String, ringing: String, at offset: Int,
        isIvshmem: Bool = false
    ) throws(TransportError) -> Doorbell {
        // O_SYNC: /dev/mem shall not map the page cached.
        let ringDescriptor = try openDevice(ringing, O_RDWR | O_SYNC, specification)
        let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ringDescriptor, off_t(offset))
        let error = cs_errno()
        close(ringDescriptor)
        guard let page, page != cs_map_failed() else {
            throw .system(.io, "mapping the doorbell page of \(ringing)", error, "check driver and map=, or page=")
        }
        let descriptor: Int32
        do throws(TransportError) {
            // An input device takes no writes of a reader.
            let mode = specification.kind == .gpioKeys ? O_RDONLY : O_RDWR
            descriptor = try openDevice(waiting, mode, specification)
        } catch {
            munmap(page, 4096)
            throw error
        }
        let doorbell = Doorbell(specification, descriptor: descriptor, page: page, isIvshmem: isIvshmem)
        guard doorbell.rearm() else {
            throw .system(
                .badContent, "enabling the interrupt of \(waiting)", cs_errno(),
                "the device has none: use `doorbell = none`, or ivshmem-doorbell")
        }
        return doorbell
    }

    private static func openDevice(
        _ path: String, _ mode: Int32, _ specification: DoorbellSpecification
    ) throws(TransportError) -> Int32 {
        let fd = path.withCString { cs_open($0, mode | O_NONBLOCK | O_CLOEXEC, 0) }
        guard fd >= 0 else {
            throw .system(.io, "opening \(path) (doorbell \(specification.text))", cs_errno(), "run as root")
        }
        return fd
    }

    /// What the peer must be told to wake this side; 0 where the doorbell needs nothing of the kind. Read
    /// anew each time: a device that was plugged again has another.
    public var ownIdentifier: UInt32 {
        // Of another doorbell's page nothing is read: that can be a fault that nobody answers.
        guard let page, isIvshmem else { return 0 }
        return SharedWord32(page + Self.ivshmemPosition).loadRelaxed()
    }

    /// Wakes the peer.
    /// - Parameter peerIdentifier: what its header names; any word.
    public func ring(peerIdentifier: UInt32) {
        // Full fence: what was published in cached memory is visible before the store to the device, which
        // is not ordered against it on arm64. Pairs with the acquire loads that the woken side makes.
        fullFence()
        if let page {
            // ivshmem: peer, and vector 0, 16 bits each. Elsewhere the store itself is what counts.
            SharedWord32(page + (isIvshmem ? Self.ivshmemDoorbell : 0))
                .storeRelaxed(isIvshmem ? peerIdentifier << 16 : 1)
            return
        }
        guard sendDescriptor >= 0 else { return }
        var one: UInt64 = 1
        // EAGAIN: the counter is full, so the peer has enough to wake for.
        _ = withUnsafePointer(to: &one) { write(sendDescriptor, $0, 8) }
    }

    /// Takes note of being woken, and lets the next interrupt through. The caller then looks at the rings: whatever
    /// came before that look needs no other doorbell.
    /// - Returns: how often the doorbell was rung, as far as it tells; 0 when it was false.
    public func drain() -> UInt32 {
        guard descriptor >= 0 else { return 0 }
        let size = kind == .gpioKeys ? Self.inputEvents : kind == .eventfd ? 8 : 4
        return withUnsafeTemporaryAllocation(byteCount: Self.inputEvents, alignment: 8) { room in
            let count = read(descriptor, room.baseAddress, size)
            // Unmask after the read: an interrupt in between is kept by the device and comes then.
            _ = rearm()
            // A part of a count is none; of an input device's events there may be fewer than asked for.
            guard kind == .gpioKeys ? count > 0 : count == size else { return 0 }
            return kind == .eventfd ? UInt32(clamping: room.load(as: UInt64.self)) : 1
        }
    }

    /// Unmasks a UIO interrupt that masks itself. - Returns: false when the device has none.
    func rearm() -> Bool {
        // The connection module never masks, and answers a write with an error. Its pending count in BAR0 it takes and
        // clears itself, in the interrupt: reading it here would cost two more exits to the VMM for each doorbell, and
        // clearing it would make the kernel believe that the shared interrupt was nobody's.
        guard kind == .uio || kind == .genericUIO else { return true }
        var one: UInt32 = 1
        return withUnsafePointer(to: &one) { write(descriptor, $0, 4) } == 4
    }
}
