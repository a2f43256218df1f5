// SPDX-License-Identifier: Apache-2.0

/// A window in which the agents had nothing to do.
struct BenchIdle: Codable, Equatable, Sendable {
    /// What was there: a link alone, or devices attached by it, too.
    let state: String
    /// Of the window, in the guest.
    let seconds: Double
    let importer: AgentUse
    let exporter: AgentUse

    /// Percent of a processor: of the agent that took more.
    var percent: Double { max(importer.processorTime, exporter.processorTime) / 1e7 / seconds }
    var doorbells: Int { importer.doorbellsRung + exporter.doorbellsRung }
}

extension BenchGuests {
    /// Both guests at once.
    func measureIdle(_ state: String, seconds: Int) throws -> BenchIdle {
        let script = """
            \(AgentMeter.begin)
            began=$(uptime_now)
            sleep \(seconds)
            ended=$(uptime_now)
            \(AgentMeter.end)
            echo $began $ended | awk '{ printf "seconds %.2f\\n", $2 - $1 }'
            """
        let jobs = try [importer, exporter].map { (shell: try $0.shell(), job: try $0.shell().start(script)) }
        let lines = try jobs.map { shell, job in
            BenchLines(try shell.wait(for: job, timeLimit: .seconds(seconds + 60)).text)
        }
        return BenchIdle(
            state: state, seconds: try lines[0].number("seconds"), importer: try lines[0].agentUse(),
            exporter: try lines[1].agentUse())
    }
}
