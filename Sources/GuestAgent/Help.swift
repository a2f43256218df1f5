// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// What `ringway help` prints.
enum Help {
    static let general = """
        usage: ringway COMMAND …

          agent [--config FILE] [--KEY VALUE …]   connect this guest with its peer through shared memory
          run [--preload FILE] [--runtime-dir DIR] [--port N …] -- PROGRAM [ARGUMENT …]
                                                  run a program whose TCP connections cross the ring
          status [--runtime-dir DIR] [--json]     say what the agent sees
          config check [--config FILE]            check the configuration
          version [--json]                        print the version
          help [COMMAND]                          explain a command

        """

    static func text(_ command: String) -> String? {
        switch command {
        case "": return general
        case "agent": return agent
        case "run": return run
        case "status":
            return """
                usage: ringway status [--runtime-dir DIR] [--json]

                Prints what the running agent sees: the link and why it waits, sections and their memory type,
                the kernel's USB/IP drivers, counters, channels. Exit code 69 when no agent runs.

                """
        case "config":
            return """
                usage: ringway config check [--config FILE]

                Reads the configuration (default \(Configuration.defaultPath)) and prints what it amounts to.
                Exit code 78, with file and line, when something is wrong. Opens no device.

                """
        case "version": return "usage: ringway version [--json]\n"
        case "help": return "usage: ringway help [COMMAND]\n"
        default: return nil
        }
    }

    private static var agent: String {
        var text = """
            usage: ringway agent [--config FILE] [--KEY VALUE …]

            Connects this guest with its peer. The configuration (default \(Configuration.defaultPath), which need
            not exist when flags say everything) holds `key = value` lines; each key is also a flag, which overrides.


            """
        for key in Configuration.keys {
            text += compose("  \(key.name) = \(key.form)\n      \(key.meaning)\n")
        }
        return text
    }

    private static let run = """
        usage: ringway run [--preload FILE] [--runtime-dir DIR] [--port N …] -- PROGRAM [ARGUMENT …]

        Runs a program whose TCP connections to, and listeners on, the ports given (default 3240) become channels of
        the ring; N is PORT or PORT:SERVICE. The program must be dynamically linked. Returns the program's status;
        126 when it cannot be run, 127 when there is none.

        """
}
