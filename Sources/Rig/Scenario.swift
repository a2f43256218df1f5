// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What two virtual machines have, what is done with them, and what must be true: read from a file of
/// `vm-configs/scenarios/`, whose README describes the language.
public struct Scenario: Sendable {
    public let name: String
    /// What the scenario shows, in one line.
    public let title: String
    /// The only architecture that it runs on; nil where it runs on all.
    public let architecture: GuestArchitecture?
    let guests: [GuestDeclaration]
    let items: [Item]

    /// Whether some step starts Ringway's agent.
    var needsAgent: Bool { items.contains(where: \.needsAgent) }
}

/// A guest as the scenario declares it.
struct GuestDeclaration: Sendable, Equatable {
    let name: String
    var role: GuestRole
    var image = ImageKind.stock
    /// Its root lies on a disk, and only what starts that in memory.
    var isOnDisk = false
    var setup = GuestSetup()
    var devices: [EmulatedDevice] = []
    /// Bytes of a file in the image that only takes room.
    var ballast = 0
    /// Kernel modules beyond those of the role.
    var modules: [String] = []
    /// Files of Debian packages beyond those of every image.
    var packageFiles: [PackageFile] = []
    /// What `make guest probes` has built, beyond the agent and its library.
    var builtFiles: [BuiltFile] = []
    /// A network card that leads to the other guest. The benchmark's only: no scenario can ask for one.
    var isNetworked = false
}

/// What a boot may change.
struct GuestSetup: Sendable, Equatable {
    /// How the agent reaches the shared memory.
    enum Section: String, Sendable, CaseIterable {
        case uio, pci, devmem
        /// Our UIO driver on the window of a guest on seL4: a node of the device tree with a doorbell, two sections of
        /// 2 MiB.
        case window
        /// Our UIO driver on a node of the device tree, instead of ivshmem.
        case node
        /// Two ivshmem devices with a section each, of which this guest may write its own only, and a third for the
        /// doorbell; for all guests or none.
        case oneWay = "one-way"
        /// The CAmkES VM's own driver: a section of 2 MiB in a connection's dataport each, with a doorbell.
        case connection

        /// Whether its driver can wait for an interrupt.
        var hasInterrupt: Bool { self == .uio || self == .window || self == .connection || self == .oneWay }
    }
    /// How it is woken.
    enum Doorbell: String, Sendable, CaseIterable {
        case uio
        /// It looks again and again.
        case polling = "none"
    }
    /// What a section of 2 MiB has room for.
    enum Rings: String, Sendable, CaseIterable {
        /// 14 channels.
        case many = "128K"
        /// 7 channels, in which a transfer of 128 KiB, as a disk's are, fits whole.
        case large = "256K"
    }

    /// In bytes; nil is what the image needs.
    var memory: Int?
    var section = Section.uio
    /// Nil is the section's own: only a UIO driver can wait for an interrupt.
    var doorbell: Doorbell?
    /// Nil is the agent's own choice, or for sections of 2 MiB, many.
    var rings: Rings?

    /// How the agent will be woken.
    var effectiveDoorbell: Doorbell { doorbell ?? (section.hasInterrupt ? .uio : .polling) }
}

/// A step, a block of either level, or a statement of a step.
indirect enum Item: Sendable {
    case step(line: Int, title: Template, [Item])
    case repeated(short: Int, full: Int, [Item])
    /// A value may be a variable, which may hold several.
    case each(variable: String, values: [Template], [Item])
    case statement(Statement)

    var needsAgent: Bool {
        switch self {
        case .step(_, _, let items), .repeated(_, _, let items), .each(_, _, let items):
            items.contains(where: \.needsAgent)
        case .statement(let statement):
            if case .agent(.start, _) = statement.action { true } else { false }
        }
    }
}

/// One thing done or demanded, and what must come of it.
struct Statement: Sendable {
    let line: Int
    let action: Action
    var outcome = Outcome()
}

enum Action: Sendable {
    enum AgentVerb: String, Sendable, CaseIterable { case start, kill, stop }
    enum MachineVerb: String, Sendable, CaseIterable { case kill, pause, resume }

    /// A shell script in a guest.
    case command(guest: Template, script: Template)
    /// Something that only the host knows.
    case host(HostQuery, [Template])
    case boot(guests: [Template], changes: [SetupChange], forced: Bool, waits: Bool)
    case machine(MachineVerb, guests: [Template])
    case plug(guest: Template, device: String, isIn: Bool)
    /// Presses and lets go keys one after the other, by QEMU's names for them.
    case press(guest: Template, keys: [String])
    case agent(AgentVerb, guests: [Template])
    case waitForLink(guests: [Template])
    case waitForJob(String)
    case console(guest: Template)
    case expect(Template, Comparison, Template)
    case note(Template)
}

/// A `key=value` behind `boot … with`.
struct SetupChange: Sendable {
    enum Key: String, Sendable, CaseIterable { case memory, section, doorbell, rings }
    let key: Key
    let value: Template
}

enum HostQuery: String, Sendable, CaseIterable {
    /// `sha256 DISK`: of a disk's whole image file.
    case sha256
    /// `sound DEVICE`: bytes and sha256 of what a sound device has played, without the silence around it, as JSON.
    case sound
    /// `holders DISK`: the names of the guests whose QEMU has the image open; other processes by pid.
    case holders
    /// `packaged GUEST PATH`: the sha256 of a file of the guest's image as it lies in its Debian package.
    case packaged
    /// `kernel GUEST`: the md5 of the file that the guest's QEMU has booted, as its command line in /proc names it.
    case kernel
    /// `packaged-kernel GUEST`: md5 and version of the kernel's Debian package, as JSON.
    case packagedKernel = "packaged-kernel"
    /// `origins GUEST`: the names of what the files of the guest's image come from: packages, `ringway`, `depmod`.
    case origins
    /// `unpacked GUEST`: KiB that the guest's image takes once it is unpacked.
    case unpacked
    /// `memory-needed GUEST`: MiB with which the guest's image unpacks.
    case memoryNeeded = "memory-needed"
    /// `memory-given GUEST`: MiB of the guest's last boot.
    case memoryGiven = "memory-given"
    /// `hostile GUEST SHORT FULL`: attacks the guest's agent with so many mutations, as the run is in short form or in
    /// full, from side a; what was seen, in lines. MUTATIONS and SEED in the environment say otherwise.
    case hostile
    /// `built-agent`: the sha256 of the agent that `make guest` has built for the guests.
    case builtAgent = "built-agent"
    /// `sel4-log`: what seL4 and the VMMs have printed, on a machine with seL4.
    case sel4Log = "sel4-log"

    var parameters: Int {
        switch self {
        case .packaged: 2
        case .hostile: 3
        case .builtAgent, .sel4Log: 0
        default: 1
        }
    }
}

enum Comparison: String, Sendable, CaseIterable {
    case equal = "="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case contains, lacks

    /// nil where the operands are not numbers and must be.
    func holds(_ left: String, _ right: String) -> Bool? {
        switch self {
        case .equal: return left == right
        case .notEqual: return left != right
        case .contains: return left.contains(right)
        case .lacks: return !left.contains(right)
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            guard let left = Double(left), let right = Double(right) else { return nil }
            switch self {
            case .less: return left < right
            case .lessOrEqual: return left <= right
            case .greater: return left > right
            default: return left >= right
            }
        }
    }
}

/// What must come of a statement.
struct Outcome: Sendable, Equatable {
    enum Status: Sendable, Equatable { case exactly(Int), fails, any }
    struct Capture: Sendable, Equatable {
        let variable: String
        /// Names, indices and `key=value` on the way into the JSON text that was printed; nil for all of the text.
        let path: [Template]?
    }

    var status = Status.exactly(0)
    var says: [Template] = []
    var neverSays: [Template] = []
    var limit: Duration?
    var captures: [Capture] = []
    /// Goes on while the command runs; `wait for` this name demands the rest.
    var job: String?
}

/// Text with `%{name}` in it.
struct Template: Sendable, Equatable {
    let text: String
    let variables: [String]

    init(_ text: String) {
        self.text = text
        variables = text.matches(of: /%\{([^}]*)\}/).map { String($0.1) }
    }

    /// The text with the variables' values.
    func expanded(_ values: [String: String]) -> String {
        var result = text
        for name in Set(variables) { result = result.replacingOccurrences(of: "%{\(name)}", with: values[name] ?? "") }
        return result
    }
}
