// SPDX-License-Identifier: Apache-2.0
import RingTransport

/// What `ringway help` prints.
enum Help {
    static let general = """
        usage: ringway COMMAND …

          agent [--config FILE] [--KEY VALUE …]: connect this guest with its peer through shared memory
          run [OPTION …] -- PROGRAM …: run a program whose TCP connections cross the ring
          list [--remote] [--json]: list this guest's devices, or those that the peer offers
          export BUSID | --match RULE: offer devices to the peer
          unexport BUSID | --match RULE: take them back
          attach BUSID | --auto RULE: use a device of the peer
          detach PORT | RULE: let it go
          port [--json]: say what is attached, and how far it has come
          doctor [--json]: check all that this guest needs
          status [--json]: say what the agent sees
          config check [--config FILE]: check the configuration
          policy check [FILE]: check which devices may cross
          version [--json]: print the version
          help [COMMAND]: explain a command

        Exit codes: 0; 64 usage; 65 bad data in a section or file; 66 no such device, section or file; 69 the
        agent or the peer cannot be reached; 74 a system call failed; 76 the peer broke the protocol; 77 not
        permitted; 78 bad configuration. `run` ends as its program does: 126, 127, 128+n as in a shell.

        """

    static func text(_ command: String) -> String? {
        switch command {
        case "": return general
        case "agent": return agent
        case "run": return run
        case "list", "export", "unexport", "attach", "detach", "port", "doctor": return devices
        case "status":
            return """
                usage: ringway status [--runtime-dir DIR] [--json]

                Prints what the running agent sees: the link and why it waits, sections and their memory type,
                the kernel's USB/IP drivers, counters, channels. Exit code 69 when no agent runs.

                """
        case "config":
            return """
                usage: ringway config check [--config FILE]

                Reads the configuration (default /etc/ringway/ringway.conf) and prints what it amounts to.
                Exit code 78, with file and line, when something is wrong. Opens no device.

                """
        case "policy":
            return """
                usage: ringway policy check [FILE]

                Reads a policy (default /etc/ringway/policy) and says what it means for the devices of this guest.
                Each line is allow or deny, then any of: export or import, a device (1-1.4, VVVV:PPPP,
                VVVV:PPPP:SERIAL, serial:SERIAL), class=CC[:SS[:PP]] in hexadecimal. Of each interface
                the first line that fits decides; what none fits is denied. Exit code 78, with file and
                line, when something is wrong.

                """
        case "version": return "usage: ringway version [--json]\n"
        case "help": return "usage: ringway help [COMMAND]\n"
        default: return nil
        }
    }

    private static var agent: String {
        var text = """
            usage: ringway agent [--config FILE] [--KEY VALUE …]

            Connects this guest with its peer. The configuration (default /etc/ringway/ringway.conf, which need
            not exist when flags say everything) holds `key = value` lines; each key is also a flag, which overrides.


            """
        for key in Configuration.keys {
            text += compose("  \(key.name) = \(key.form)\n      \(key.meaning)\n")
        }
        return text
    }

    private static let devices = """
        usage: ringway list [-l] [-r] [-p] [--json]
               ringway export BUSID | --match RULE
               ringway unexport BUSID | --match RULE
               ringway attach BUSID | --match RULE [--wait SECONDS | --no-wait] [--port PORT]
               ringway attach --auto RULE
               ringway detach PORT | RULE
               ringway port [--json]
               ringway doctor [--json]

        All take --runtime-dir DIR, and the flags of `usbip` (list -l, -r; attach -b; detach -p). A RULE is a bus id
        (1-1.4), VVVV:PPPP, or, for devices of this guest, VVVV:PPPP:SERIAL or serial:SERIAL.

        list      devices of this guest; with -r those that the peer offers
        export    offers a device; with --match also whatever fits the rule and is plugged in later
        unexport  takes it back, also from a peer that uses it, and gives it to its own driver
        attach    takes a device of the peer and waits until it is set up; with --auto takes whatever fits the rule
                  whenever the peer offers it, until `detach` lets it go
        detach    lets a port's device go, and drops the rule that would take it again
        port      what is attached, and what it waits for
        doctor    permissions, kernel modules, agent, link, memory, doorbell, ports; exit code 69 when one is at fault

        """

    private static let run = """
        usage: ringway run [--preload FILE] [--runtime-dir DIR] [--port N …] [--direct] [--verbose] -- PROGRAM …

        Runs a program whose TCP connections to, and listeners on, the ports given (default 3240) become channels of
        the ring; N is PORT or PORT:SERVICE. The program must be dynamically linked. --verbose says on standard error
        which call became what. With --direct, and `direct = on` of the agent, programs use the ring themselves. Returns
        the program's status; 126 when it cannot be run, 127 when there is none.

        """
}
