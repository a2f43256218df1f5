// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import Rig

struct SeL4: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sel4",
        abstract: "Run scenarios in two guests on seL4, under one QEMU; exit 0 only if every check of each holds.",
        discussion: "MICROKIT_SDK and LIBVMM in the environment name an installed Microkit SDK and libvmm; or --image "
            + "names what a CAmkES VM checkout has built.")
    @OptionGroup var root: RootOption
    @Argument(help: "Names of scenarios, of vm-configs/sel4-microkit/scenarios or vm-configs/sel4-camkes/scenarios.")
    var names: [String]
    @Option(help: "ringway (unless given), or ringway-oneway: each guest may write its own section only.")
    var variant: SeL4Kit.Variant?
    @Option(help: "The image of vm-configs/sel4-camkes that a CAmkES VM checkout has built.")
    var image: String?
    @Option(help: "How often to run each.")
    var times = 1
    @Flag(help: "Leave the guests of the last run up.")
    var keep = false

    func validate() throws {
        guard times >= 1 else { throw ValidationError("--times is at least 1: \(times) shows nothing") }
        guard image == nil || variant == nil else {
            throw ValidationError("--variant is Microkit's; the image of --image is what it was built as")
        }
    }

    func run() throws {
        let system: SeL4System
        do {
            system = try self.system
        } catch {
            // What is missing is not a check that failed.
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            throw ExitCode(2)
        }
        let scenarios = try names.map { try ScenarioCatalogue.load($0, root: root.url, in: system.scenarios) }
        let runs = scenarios.flatMap { Array(repeating: $0, count: times) }
        Cleanup.shared.installSignalHandlers()
        defer { Cleanup.shared.run() }
        var allHold = true
        for (index, scenario) in runs.enumerated() {
            let session = ScenarioSession(
                root: root.url, architecture: .aarch64, sel4: system, full: false, keep: keep && index == runs.count - 1
            )
            allHold = try session.run(scenario) && allHold
        }
        if !allHold { throw ExitCode.failure }
    }

    private var system: SeL4System {
        get throws {
            if let image { return try .camkes(image: image) }
            var kit = try SeL4Kit()
            kit.variant = variant ?? .shared
            return .microkit(kit)
        }
    }
}

extension SeL4Kit.Variant: ExpressibleByArgument {}
