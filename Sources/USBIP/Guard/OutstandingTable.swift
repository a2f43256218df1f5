// SPDX-License-Identifier: Apache-2.0

/// A command that was let pass and has no answer yet: 24 bytes.
struct Outstanding {
    /// What an answer means beyond itself.
    enum Effect: UInt8 {
        /// `blocks`: while it carries that out, the exporter's kernel reads no further.
        case none, readsDescriptor, blocks, setsConfiguration, setsInterface

        var sets: Bool { rawValue >= Effect.setsConfiguration.rawValue }
        var stops: Bool { rawValue >= Effect.blocks.rawValue }
    }

    /// What it is, and how far a CMD_UNLINK has come.
    enum Kind: UInt8 {
        case request
        /// It waits for its target's answer, or for `Guard.releaseWithdrawals`.
        case heldUnlink
        /// The same, and if the place between two commands is there now, it goes on.
        case dueUnlink
        /// Its answer waits for the next place between two replies.
        case answeredUnlink
        case unlink
    }

    var seqnum: UInt32
    /// Bytes that were asked for.
    var length: UInt32 = 0
    /// CMD_UNLINK: the seqnum to unlink. SET_CONFIGURATION: wValue. SET_INTERFACE: wIndex << 16 | wValue.
    /// GET_DESCRIPTOR: wValue.
    var argument: UInt32 = 0
    /// Bytes of the exporter's memory that it takes.
    var memory: UInt32 = 0
    /// number_of_packets: -1 to 1024.
    var packets: Int16 = 0
    /// Direction and endpoint, as in `EndpointTable`; of a CMD_UNLINK what it says.
    var slot: UInt8 = 0
    var effect = Effect.none
    var kind = Kind.request
    var isIsochronous = false
    /// RET_UNLINK said 0: the importer's kernel has given the URB up, though its RET_SUBMIT may still come.
    var isGivenUp = false
    /// A configuration or interface was set since. CMD_UNLINK: it is watched.
    var isOld = false

    var isIn: Bool { slot >= 16 }
    var isUnlink: Bool { kind != .request }
}

/// The commands without an answer, in no order. Bounded; nothing is allocated once it is there.
///
/// It is searched from its end: that is where the newest are, and a device has few on their way.
struct OutstandingTable {
    private let entries: UnsafeMutablePointer<Outstanding>
    private(set) var count = 0
    /// Bytes of the exporter's memory that they take, but for those that were given up.
    private(set) var memory = 0
    /// CMD_UNLINKs among them, and how many of those are watched: the ones that were there when the watch began. It
    /// begins anew, with another number, when the last of them is answered.
    private(set) var unlinks = 0
    private var watched = 0
    private(set) var watch: UInt32 = 0
    /// CMD_UNLINKs that the exporter's kernel has not got yet, by how far they have come.
    private(set) var held = 0
    private(set) var due = 0
    private(set) var answered = 0
    let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        entries = .allocate(capacity: capacity)
    }

    func deallocate() { entries.deallocate() }

    /// The index of a command; nil when there is none. It holds until the next change.
    @inline(never)
    func find(_ seqnum: UInt32) -> Int? {
        var i = count
        while i > 0 {
            i &-= 1
            if entries[i].seqnum == seqnum { return i }
        }
        return nil
    }

    subscript(_ index: Int) -> Outstanding { entries[index] }

    mutating func remove(_ index: Int) {
        let entry = entries[index]
        if !entry.isGivenUp { memory &-= Int(entry.memory) }
        count &-= 1
        entries[index] = entries[count]
        guard entry.isUnlink else { return }
        unlinks &-= 1
        if entry.isOld { watched &-= 1 }
        if watched == 0 { watchUnlinks() }
    }

    private mutating func watchUnlinks() {
        watch &+= 1
        watched = unlinks
        for i in 0..<count where entries[i].isUnlink { entries[i].isOld = true }
    }

    mutating func giveUp(_ index: Int) {
        if entries[index].isGivenUp { return }
        entries[index].isGivenUp = true
        answerWithdrawals(of: entries[index].seqnum)
        memory &-= Int(entries[index].memory)
        entries[index].effect = .none
    }

    /// - Returns: false when there is no room. One that was given up makes room: most are never answered.
    @inline(never)
    mutating func insert(_ entry: Outstanding) -> Bool {
        if count == capacity {
            var i = 0
            while i < count, !entries[i].isGivenUp { i &+= 1 }
            guard i < count else { return false }
            remove(i)
        }
        (entries + count).initialize(to: entry)
        count &+= 1
        memory &+= Int(entry.memory)
        if entry.isUnlink {
            unlinks &+= 1
            note(entry.kind, 1)
            if watched == 0 { watchUnlinks() }
        }
        return true
    }

    /// Withdrawals that are held become due: those of requests that the kernel has, to endpoints that were silent.
    /// - Parameter heard: endpoints that were not, as bits of their slots.
    @inline(never)
    mutating func release(heard: UInt32) {
        for i in 0..<count where entries[i].kind == .heldUnlink && isReleasable(i, heard) { move(i, to: .dueUnlink) }
    }

    private func isReleasable(_ index: Int, _ heard: UInt32) -> Bool {
        guard let target = find(entries[index].argument), entries[target].kind == .request, !entries[target].isGivenUp
        else { return false }
        return heard >> UInt32(entries[target].slot) & 1 == 0
    }

    /// Withdrawals of what is not there are answered.
    @inline(never)
    mutating func answerLateWithdrawals() {
        for i in 0..<count where entries[i].kind == .heldUnlink {
            if let target = find(entries[i].argument), !entries[target].isGivenUp { continue }
            move(i, to: .answeredUnlink)
        }
    }

    /// What is due has not gone on.
    mutating func recall() {
        guard due > 0 else { return }
        for i in 0..<count where entries[i].kind == .dueUnlink { move(i, to: .heldUnlink) }
    }

    /// Whether the exporter's kernel may be reading no further.
    var isStopped: Bool {
        for i in 0..<count where entries[i].effect.stops { return true }
        return false
    }

    /// A command is at its end; so are those of its withdrawals that the exporter's kernel has not got.
    @inline(never)
    mutating func answerWithdrawals(of target: UInt32) {
        guard held &+ due > 0 else { return }
        for i in 0..<count where entries[i].argument == target {
            let kind = entries[i].kind
            if kind == .heldUnlink || kind == .dueUnlink { move(i, to: .answeredUnlink) }
        }
    }

    /// The oldest of those that are due, or answered: its time has come.
    /// - Parameter last: the newest command's number, from which age counts.
    mutating func take(_ kind: Outstanding.Kind, last: UInt32) -> Outstanding? {
        guard (kind == .dueUnlink ? due : answered) > 0 else { return nil }
        var oldest = -1
        for i in 0..<count where entries[i].kind == kind {
            if oldest < 0 || last &- entries[i].seqnum > last &- entries[oldest].seqnum { oldest = i }
        }
        let entry = entries[oldest]
        move(oldest, to: .unlink)
        if kind == .answeredUnlink {
            remove(oldest)
            answerWithdrawals(of: entry.seqnum)
        }
        return entry
    }

    private mutating func move(_ index: Int, to kind: Outstanding.Kind) {
        note(entries[index].kind, -1)
        note(kind, 1)
        entries[index].kind = kind
    }

    private mutating func note(_ kind: Outstanding.Kind, _ change: Int) {
        switch kind {
        case .heldUnlink: held &+= change
        case .dueUnlink: due &+= change
        case .answeredUnlink: answered &+= change
        default: break
        }
    }

    /// A configuration or interface was set.
    func age() { for i in 0..<count where !entries[i].isUnlink { entries[i].isOld = true } }
}
