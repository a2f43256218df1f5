// SPDX-License-Identifier: Apache-2.0
import CShim
import RingBuffer
import RingTransport
import USBIP

/// `ringway agent`: opens what it needs with the privileges it was started with, then splits. The parent
/// keeps the privileges and does sysfs work; the child is the data path, without any capability.
func runAgent(_ configuration: CheckedConfiguration) -> ExitCode {
    cs_open_standard()
    do throws(Diagnostic) {
        let resources = try AgentResources.open(configuration)
        return try split(resources)
    } catch {
        error.report()
        return error.exitCode
    }
}

/// Everything that needs privileges, opened once, before the split.
final class AgentResources {
    let settings: DataPathSettings
    let own: MappedSection
    let peer: MappedSection
    let doorbell: Doorbell
    let listener: Int32
    let devices: DeviceManager

    private init(
        settings: DataPathSettings, own: MappedSection, peer: MappedSection, doorbell: Doorbell, listener: Int32,
        devices: DeviceManager
    ) {
        self.settings = settings
        self.own = own
        self.peer = peer
        self.doorbell = doorbell
        self.listener = listener
        self.devices = devices
    }

    static func open(_ configuration: CheckedConfiguration) throws(Diagnostic) -> AgentResources {
        let policy = try Policy.load(configuration.configuration.policy)
        if let policy, !configuration.configuration.isGuarded {
            throw Diagnostic(
                .badConfiguration,
                "configuration: guard = off, but it is the guard that holds devices to the policy \(policy.path); "
                    + "remove one of them")
        }
        let own: MappedSection
        let peer: MappedSection
        let doorbell: Doorbell
        let side = configuration.side
        do throws(TransportError) {
            let isDirect = configuration.configuration.isDirect
            own = try MappedSection.open(configuration.section(side), writable: true, isShared: isDirect)
            peer = try MappedSection.open(configuration.section(side.peer), writable: false, isShared: isDirect)
            doorbell = try Doorbell.open(configuration.doorbell)
        } catch {
            throw Diagnostic(error)
        }
        let geometry = configuration.geometry
        for (section, owner) in [(own, side), (peer, side.peer)] where section.size < geometry.sectionSize {
            throw Diagnostic(
                .badConfiguration,
                "section of side \(owner.name) (\(section.description)): has \(section.size) bytes, but "
                    + "channels=\(geometry.channels) of ring-size=\(geometry.ringCapacity) need "
                    + "\(geometry.sectionSize); enlarge the section or reduce channels or ring-size")
        }
        let cached = own.memoryType == .cached && peer.memoryType == .cached
        let settings = DataPathSettings(
            side: side, geometry: geometry, copy: cached ? .block : .alignedWords,
            runtimeDirectory: configuration.runtimeDirectory,
            heartbeatMilliseconds: configuration.heartbeatMilliseconds,
            heartbeatMisses: configuration.heartbeatMisses,
            connectMilliseconds: configuration.connectTimeoutMilliseconds,
            unlinkMilliseconds: configuration.unlinkTimeoutMilliseconds,
            isGuarded: configuration.configuration.isGuarded, policy: policy,
            openBytes: GuardLimits.openBytes(ofMemory: cs_total_memory()),
            spinMicroseconds: configuration.spinMicroseconds ?? automaticSpin(),
            group: UInt32(truncatingIfNeeded: configuration.configuration.group),
            sections: [(own, side), (peer, side.peer)].map {
                SectionFacts(
                    side: $0.1, place: $0.0.description, memoryType: $0.0.memoryType.name, bytes: $0.0.size)
            })
        if !cached {
            Log.info(
                "memory type \(own.memoryType.name)/\(peer.memoryType.name): bytes are copied in aligned words, "
                    + "which is slower")
        }
        let listener = try listen(configuration.runtimeDirectory, settings.group)
        let devices = try DeviceManager.open(
            DeviceSettings(
                runtimeDirectory: configuration.runtimeDirectory, exports: configuration.configuration.exports,
                attachments: configuration.configuration.attachments, policy: policy))
        return AgentResources(
            settings: settings, own: own, peer: peer, doorbell: doorbell, listener: listener, devices: devices)
    }

    /// Polling after traffic takes the processor from the kernel's USB/IP threads where there is one only. Else it is
    /// worth as long as waking somebody takes, who rests on a processor of a virtual machine.
    static func automaticSpin() -> Int {
        cs_processors() > 1 ? 50 : 0
    }

    static func listen(_ directory: String, _ group: UInt32) throws(Diagnostic) -> Int32 {
        for path in [directory, directory + "/port"] {
            guard path.withCString({ mkdir($0, path == directory ? 0o755 : 0o700) }) == 0 || cs_errno() == EEXIST else {
                throw Diagnostic.system("creating the directory \(path)", cs_errno(), "choose another `runtime-dir`")
            }
        }
        let path = directory + "/agent.sock"
        let listener = LocalSocket.listen(path)
        if listener >= 0 {
            if group == 0 { return listener }
            // Who may connect may also listen: the group's programs make their sockets in `port`.
            // None of them can take another one's away.
            for path in [path, directory + "/port"]
            where path.withCString({ chown($0, uid_t.max, group) != 0 || chmod($0, 0o1770) != 0 }) {
                throw Diagnostic.system(
                    "giving \(path) to group \(group)", cs_errno(), "check `group`, and run as root")
            }
            return listener
        }
        if cs_errno() == EADDRINUSE {
            throw Diagnostic(
                .unavailable,
                "\(path): another agent is running; stop it first, or give this one its own `runtime-dir`")
        }
        throw Diagnostic.system("listening on \(path)", cs_errno(), "choose another `runtime-dir`")
    }
}

/// Forks the data path and becomes the privileged parent.
private func split(_ resources: AgentResources) throws(Diagnostic) -> ExitCode {
    let signals = cs_signal_descriptor(true)
    var parentEnd: Int32 = -1
    var childEnd: Int32 = -1
    guard signals >= 0, cs_packet_pair(&parentEnd, &childEnd) == 0 else {
        throw Diagnostic.system("preparing the data path's process", cs_errno(), "raise its limits")
    }
    let parent = getpid()
    Log.share()
    let child = fork()
    if child == 0 {
        _ = cs_die_with_parent()
        if getppid() != parent { _exit(ExitCode.ioError.rawValue) }
        close(parentEnd)
        close(signals)
        resources.devices.closeDescriptors()
        let code = runDataPath(resources, worker: childEnd)
        _exit(code.rawValue)
    }
    guard child > 0 else {
        throw Diagnostic.system("starting the data path's process", cs_errno(), "raise the process limit")
    }
    close(childEnd)
    close(resources.listener)
    resources.devices.dataPath = child
    let worker = SysfsWorker(dataPath: child, socket: parentEnd, signals: signals, devices: resources.devices)
    let status = worker.run()
    if cs_wifexited(status) { return ExitCode(rawValue: cs_wexitstatus(status)) ?? .ioError }
    Log.error("the data path was ended by signal \(cs_wtermsig(status)); start the agent again")
    return .ioError
}

/// The child: builds link and channels on the mapped sections and runs them without privileges.
private func runDataPath(_ resources: AgentResources, worker: Int32) -> ExitCode {
    do throws(Diagnostic) {
        let dataPath = try makeDataPath(resources, worker: worker)
        let directory = resources.settings.runtimeDirectory
        let kept = dataPath.keptDescriptors
        dataPath.isEnclosed = holds(
            "enclosing the data path in \(directory)",
            directory.withCString { path in
                kept.withUnsafeBufferPointer { cs_enclose(path, $0.baseAddress!, Int32($0.count)) }
            })
        if cs_drop_capabilities() != 0 {
            throw Diagnostic.system("giving up capabilities", cs_errno(), "check the kernel's configuration")
        }
        dataPath.isConfined = holds("filtering the data path's system calls", cs_confine(dataPath.direct != nil))
        let settings = resources.settings
        Log.info(
            "side \(settings.side.name), doorbell \(resources.doorbell.name), "
                + "\(settings.geometry.channels) channels of \(settings.geometry.ringCapacity) bytes")
        return dataPath.run()
    } catch {
        error.report()
        return error.exitCode
    }
}

/// A protection that some kernels and containers do not offer.
private func holds(_ tried: Message, _ result: Int32) -> Bool {
    if result != 0 { Log.error("\(tried.text): \(systemMessage(cs_errno())); it makes do without") }
    return result == 0
}

private func makeDataPath(_ resources: AgentResources, worker: Int32) throws(Diagnostic) -> DataPath {
    let settings = resources.settings
    let identity: ProcessIdentity
    let controls: EndControls
    do throws(TransportError) {
        identity = try ProcessIdentity.attach()
        controls = try EndControls.create(channels: settings.geometry.channels)
    } catch {
        throw Diagnostic(error)
    }
    let channels = (0..<settings.geometry.channels).map { number in
        Channel(
            number: number, side: settings.side, geometry: settings.geometry, own: resources.own.base,
            peer: resources.peer.base, copy: settings.copy, controls: controls.block(number),
            attachment: identity.attachment)
    }
    let link = Link(
        side: settings.side, geometry: settings.geometry, own: resources.own.base, peer: resources.peer.base,
        doorbell: resources.doorbell.ownIdentifier, polls: resources.doorbell.descriptor < 0,
        misses: UInt32(settings.heartbeatMisses), random: randomWord,
        resetSection: { for channel in channels { channel.resetForEpoch() } })
    let heartbeat = Clock.timer(everyMilliseconds: settings.heartbeatMilliseconds)
    let pollTimer = Clock.timer(everyMilliseconds: nil)
    let termination = cs_signal_descriptor(false)
    guard let events = EventPoll(), heartbeat >= 0, pollTimer >= 0, termination >= 0,
        events.addInput(resources.listener, .listener), events.addInput(heartbeat, .heartbeat),
        events.addInput(pollTimer, .pollTimer), events.addInput(termination, .termination),
        events.addInput(worker, .worker),
        resources.doorbell.descriptor < 0 || events.addInput(resources.doorbell.descriptor, .doorbell)
    else {
        throw Diagnostic.system("setting up the event loop", cs_errno(), "raise the limit on open files")
    }
    let dataPath = DataPath(
        settings: settings, link: link, channels: channels,
        resting: RestingChannels(count: channels.count, peer: resources.peer.base), events: events,
        doorbell: resources.doorbell,
        descriptors: DataPath.Descriptors(
            listener: resources.listener, termination: termination, heartbeat: heartbeat, pollTimer: pollTimer,
            worker: worker),
        controls: controls, identity: identity, memoryFaults: { resources.own.faults &+ resources.peer.faults })
    dataPath.direct = DirectMode(resources.own, resources.peer, settings.copy)
    return dataPath
}

/// A random word.
func randomWord() -> UInt32 {
    var word: UInt32 = 0
    let got = withUnsafeMutablePointer(to: &word) { getrandom($0, 4, 0) }
    // Before the pool is ready getrandom waits; if it fails all the same, time is better than a constant.
    return got == 4 ? word : UInt32(truncatingIfNeeded: Clock.microseconds())
}
