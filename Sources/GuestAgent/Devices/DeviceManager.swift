// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// What the device manager is told.
struct DeviceSettings {
    let runtimeDirectory: String
    var exports: [DeviceRule] = []
    var attachments: [DeviceRule] = []
    var policy: Policy?
    var tree = SysfsTree()
}

/// The privileged parent's part in USB: keeps the rules, hears the kernel announce devices, serves importers, and
/// attaches what is wanted.
///
/// It runs in the parent's one loop and never waits: whatever touches a device is a short-lived child, because the
/// kernel may hold that device's lock for as long as the peer does not answer.
final class DeviceManager {
    /// What a watched descriptor is.
    enum Watch: Equatable {
        case requests
        case client(Int32)
        case kernel
        case reports
        case service
        case stream(Int32)
        case announcements
        case listener(Int32)
        case announcer
    }

    static let maximumJobs = 24
    static let maximumClients = 32

    let settings: DeviceSettings
    let agent: AgentClient
    let requests: Int32
    let kernel: KernelEvents?
    /// Children tell what they have done.
    let reports: (inbound: Int32, outbound: Int32)
    let book: RuleBook
    var jobs: [ManagerJob] = []
    /// Devices whose turn comes when a child can be started.
    var unsettled: [BusID] = []
    /// Programs that have not said yet what they want, and their words so far.
    var clients: [ManagerClient] = []
    let exporter = ExportService()
    let importer = AttachKeeper()
    private var watches: [Watch] = []
    /// The process that reads what a hostile peer writes; 0 for none.
    var dataPath: Int32 = 0

    private init(_ settings: DeviceSettings, requests: Int32, reports: (Int32, Int32)) {
        self.settings = settings
        self.requests = requests
        self.reports = reports
        agent = AgentClient(runtimeDirectory: settings.runtimeDirectory)
        kernel = KernelEvents.open()
        book = RuleBook(
            path: settings.runtimeDirectory + "/rules", configuredExports: settings.exports,
            configuredAttachments: settings.attachments)
    }

    /// - Throws: what keeps it from listening.
    static func open(_ settings: DeviceSettings) throws(Diagnostic) -> DeviceManager {
        let path = settings.runtimeDirectory + "/devices.sock"
        let requests = LocalSocket.listen(path)
        var inbound: Int32 = -1
        var outbound: Int32 = -1
        guard requests >= 0, cs_packet_pair(&inbound, &outbound) == 0 else {
            throw Diagnostic.system("listening on \(path)", cs_errno(), "choose another `runtime-dir`")
        }
        return DeviceManager(settings, requests: requests, reports: (inbound, outbound))
    }

    /// For the data path's process, which has no business with them.
    func closeDescriptors() {
        close(requests)
        close(reports.inbound)
        close(reports.outbound)
        if let kernel { close(kernel.socket) }
    }

    /// Before the first turn of the loop.
    func start() {
        if kernel == nil {
            Log.error(
                "hearing of devices from the kernel: \(systemMessage(cs_errno())); they are not noticed when plugged in"
            )
        }
        settleAll()
        if !book.attachments.isEmpty { importer.sweepAt = 0 }
    }

    /// What the loop has to watch.
    func descriptors() -> [pollfd] {
        watches = [.requests, .reports]
        var list = [readable(requests), readable(reports.inbound)]
        func watch(_ fd: Int32, _ what: Watch) {
            guard fd >= 0 else { return }
            watches.append(what)
            list.append(readable(fd))
        }
        if let kernel { watch(kernel.socket, .kernel) }
        for client in clients { watch(client.socket, .client(client.socket)) }
        watch(exporter.service, .service)
        watch(exporter.announcements, .announcements)
        // A stream's bytes are the kernel's: only its end is looked for, which poll reports unasked.
        for stream in exporter.streams where stream.busID != nil {
            watches.append(.stream(stream.socket))
            list.append(pollfd(fd: stream.socket, events: 0, revents: 0))
        }
        for socket in exporter.listeners { watch(socket, .listener(socket)) }
        watch(importer.announcer, .announcer)
        return list
    }

    private func readable(_ fd: Int32) -> pollfd { pollfd(fd: fd, events: Int16(POLLIN), revents: 0) }

    /// Milliseconds until something is due; -1 when nothing is.
    var timeout: Int32 {
        if !jobs.isEmpty || !unsettled.isEmpty { return 100 }
        let times = (
            exporter.timeout(wanted: !book.exports.isEmpty), importer.timeout(wanted: !book.attachments.isEmpty)
        )
        return times.0 < 0 || times.1 < 0 ? max(times.0, times.1) : min(times.0, times.1)
    }

    /// - Parameter descriptors: as `descriptors()` gave them, with what poll found.
    func serve(_ descriptors: ArraySlice<pollfd>) {
        for (watch, descriptor) in zip(watches, descriptors) where descriptor.revents != 0 {
            switch watch {
            case .requests: acceptClient()
            case .client(let socket): hearClient(socket)
            case .kernel: hearKernel()
            case .reports: hearReports()
            case .service: acceptImporter()
            case .stream(let socket): streamEnded(socket)
            case .announcements: exporter.acceptListener()
            case .listener(let socket): exporter.dropListener(socket)
            case .announcer: importer.hear()
            }
        }
        tend()
    }

    /// What time brings.
    func tend() {
        endLateJobs()
        while let busID = unsettled.first, startSettling(busID) { unsettled.removeFirst() }
        exporter.tend(directory: settings.runtimeDirectory, wanted: !book.exports.isEmpty)
        if !book.attachments.isEmpty { keepAttached() } else { importer.stop() }
    }
}
