// SPDX-License-Identifier: Apache-2.0
import Foundation

/// An apt of the rig's own: its lists, its status and its configuration lie in one folder, so that it
/// can ask for another architecture's packages and never changes what this machine has installed.
struct AptState {
    let folder: URL
    let architecture: GuestArchitecture

    /// Package lists older than this are fetched again.
    static let listLifetime: TimeInterval = 24 * 60 * 60

    var configuration: URL { folder.appendingPathComponent("apt.conf") }
    private var stamp: URL { folder.appendingPathComponent("updated") }
    private var answers: URL { folder.appendingPathComponent("answers.json") }

    init(folder: URL, architecture: GuestArchitecture) {
        self.folder = folder
        self.architecture = architecture
    }

    /// Lays out the folder and fetches the lists where they are old. Lists that cannot be fetched again
    /// are good enough as they are: a rig that ran once runs without a network.
    func prepare(sources: AptSources, progress: Progress) throws {
        for name in ["state/lists/partial", "cache/archives/partial", "sources.d", "preferences.d"] {
            try FileManager.default.createDirectory(
                at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        try Data().write(to: folder.appendingPathComponent("status"))
        try Data(configurationText.utf8).write(to: configuration)
        let changed = try sources.write(to: folder.appendingPathComponent("sources.d"))
        let updated = try? stamp.resourceValues(forKeys: [.contentModificationDateKey]).contentModificationDate
        if !changed, let updated, updated.timeIntervalSinceNow > -Self.listLifetime { return }
        do {
            try progress.step("package lists (\(architecture.debian))") {
                try apt("apt-get", ["-o", "APT::Update::Error-Mode=any", "update"], timeLimit: .seconds(300))
            }
            try? FileManager.default.removeItem(at: answers)
            try Data().write(to: stamp)
        } catch let error as RigError {
            guard updated != nil, !changed else { throw error }
            progress.note("using the package lists of an earlier run: \(error.happened)")
        }
    }

    /// What one of apt's programs prints. Asked once for each state of the lists: apt takes a second for each answer.
    /// - Parameter mayFail: some of the names asked for need not exist.
    func query(_ program: String, _ arguments: [String], mayFail: Bool = false) throws -> String {
        let key = ([program] + arguments).joined(separator: " ")
        var known = (try? JSONDecoder().decode([String: String].self, from: Data(contentsOf: answers))) ?? [:]
        if let answer = known[key] { return answer }
        let answer = try mayFail ? command(program, arguments).run().text : apt(program, arguments).text
        // Nothing at all is no answer: the next run asks again.
        guard !answer.isEmpty else { return answer }
        known[key] = answer
        try JSONEncoder().encode(known).write(to: answers, options: .atomic)
        return answer
    }

    /// Runs one of apt's programs on this state.
    @discardableResult
    func apt(
        _ program: String, _ arguments: [String], directory: URL? = nil, timeLimit: Duration = .seconds(60)
    ) throws -> HostCommand.Output {
        try command(program, arguments, directory: directory, timeLimit: timeLimit).check(
            remedy: "check that the Debian archive can be reached, or name a file of package sources in "
                + AptSources.override)
    }

    private func command(
        _ program: String, _ arguments: [String], directory: URL? = nil, timeLimit: Duration = .seconds(60)
    ) -> HostCommand {
        HostCommand(
            program, ["-q", "-c", configuration.path] + arguments,
            environment: ["LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"], directory: directory,
            timeLimit: timeLimit)
    }

    /// The machine's own settings (a proxy, say) stay in force; its hooks do not run, since they touch its caches.
    var configurationText: String {
        """
        #clear APT::Update::Pre-Invoke;
        #clear APT::Update::Post-Invoke;
        #clear APT::Update::Post-Invoke-Success;
        #clear DPkg::Post-Invoke;
        Dir::State "\(folder.path)/state";
        Dir::State::status "\(folder.path)/status";
        Dir::Cache "\(folder.path)/cache";
        Dir::Cache::pkgcache "pkgcache.bin";
        Dir::Cache::srcpkgcache "srcpkgcache.bin";
        Dir::Etc::sourcelist "/dev/null";
        Dir::Etc::sourceparts "\(folder.path)/sources.d";
        Dir::Etc::preferences "/dev/null";
        Dir::Etc::preferencesparts "\(folder.path)/preferences.d";
        APT::Architecture "\(architecture.debian)";
        APT::Architectures { "\(architecture.debian)"; };
        APT::Sandbox::User "root";
        Acquire::Languages "none";
        Acquire::Retries "3";
        Debug::NoLocking "true";

        """
    }
}
