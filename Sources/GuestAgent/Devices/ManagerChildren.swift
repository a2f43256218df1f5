// SPDX-License-Identifier: Apache-2.0
import CShim
import RingTransport
import USBIP

/// Children of the device manager: started, heard, ended.
extension DeviceManager {
    /// - Parameter body: what the child does; its exit status is what it returns.
    /// - Returns: whether there is such a child now.
    func start(_ task: ManagerTask, _ body: () -> Int32) -> Bool {
        guard jobs.count < Self.maximumJobs else { return false }
        let pid = fork()
        if pid == 0 {
            cs_default_signals()
            _ = cs_die_with_parent()
            _exit(body())
        }
        guard pid > 0 else {
            Log.error("starting a process for a device: \(systemMessage(cs_errno()))")
            return false
        }
        jobs.append(ManagerJob(pid: pid, task: task, deadline: Clock.microseconds() &+ task.timeLimit))
        return true
    }

    /// In a child.
    func report(_ report: ManagerReport) {
        let bytes = report.bytes
        _ = bytes.withUnsafeBufferPointer { send(reports.outbound, $0.baseAddress, $0.count, cs_msg_nosignal()) }
    }

    func hearReports() {
        var buffer = [UInt8](repeating: 0, count: 512)
        while true {
            let count = buffer.withUnsafeMutableBufferPointer {
                recv(reports.inbound, $0.baseAddress, $0.count, cs_msg_dontwait())
            }
            guard count > 0 else { return }
            guard let report = ManagerReport(Array(buffer[0..<count])) else { continue }
            switch report {
            case .exported(let busID, let rule):
                if exporter.note(busID, rule: rule) { Log.info("device \(busID.text) is exported") }
            case .wanted(let text):
                if let rule = DeviceRule(text) { book.add(rule, .device) }
            case .serving(let stream, let busID):
                exporter.note(stream: stream, carries: busID)
                Log.info("device \(busID.text) is used by the peer")
            }
        }
    }

    /// A child has ended.
    func ended(_ pid: pid_t, status: Int32) {
        guard let index = jobs.firstIndex(where: { $0.pid == pid }) else { return }
        // What it reported came before its end.
        hearReports()
        let job = jobs.remove(at: index)
        let code: Int32 = cs_wifexited(status) ? cs_wexitstatus(status) : -1
        switch job.task {
        case .answer(let client):
            close(client)
            // It may have exported a device, of which the kernel announces nothing.
            exporter.announce()
        case .settle: exporter.announce()
        case .serve(let stream): exporter.dropUnused(stream)
        case .awaitRelease: exporter.announce()
        case .sweep: importer.swept(settled: code == 0)
        }
    }

    func endLateJobs() {
        let now = Clock.microseconds()
        for i in jobs.indices where !jobs[i].isLate && now > jobs[i].deadline {
            jobs[i].isLate = true
            kill(jobs[i].pid, SIGKILL)
            switch jobs[i].task {
            case .answer(let client):
                Self.answer(client, .ioError, "the kernel did not answer in time: a device's lock is held; see its log")
            case .settle(let busID):
                Log.error(
                    "device \(busID.text): the kernel did not answer in time: its lock is held; see the kernel's log")
            case .serve, .awaitRelease, .sweep: break
            }
        }
    }

    /// An exit code in a line of its own, then the text.
    static func answer(_ client: Int32, _ code: ExitCode, _ text: String) {
        let bytes = compose("\(code.rawValue)\n\(text)").copyBytes()
        _ = cs_fcntl_int(client, F_SETFL, O_NONBLOCK)
        _ = bytes.withUnsafeBufferPointer {
            send(client, $0.baseAddress, $0.count, cs_msg_nosignal() | cs_msg_dontwait())
        }
        // The answer is complete, whoever else holds the socket.
        shutdown(client, cs_shut_rdwr())
    }
}
