// SPDX-License-Identifier: Apache-2.0
import CShim
import CTestShim
import Foundation
import TestSupport
import Testing
import USBIP

@testable import GuestAgent

/// What the data path may do, and who may speak to it.
@Suite(.serialized) struct PrivilegeTests {
    private func confined(_ name: String, _ first: Int = 0, _ second: Int = 0, _ third: Int = 0) throws -> Int32 {
        let number = ct_call_number(name)
        try #require(number >= 0, "\(name)")
        return ct_call_confined({ cs_confine(false) }, number, first, second, third)
    }

    @Test("system calls that the data path needs pass the filter, the others are refused") func systemCalls() throws {
        let path = strdup("/proc/self/stat")!
        let room = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)!
        defer {
            free(path)
            munmap(room, 4096)
        }
        let (name, page) = (Int(bitPattern: path), Int(bitPattern: room))
        #expect(try confined("getpid") == 0)
        #expect(try confined("brk") == 0)
        #expect(try confined("sched_yield") == 0)
        #expect(try confined("read", -1, page, 1) == EBADF)
        #expect(try confined("write", -1, page, 1) == EBADF)
        #expect(try confined("close", -1) == EBADF)
        #expect(try confined("openat", Int(AT_FDCWD), name, Int(O_RDONLY)) == EPERM)
        #expect(try confined("socket", Int(AF_UNIX), Int(cs_sock_stream())) == 0)
        for family in [AF_INET, AF_INET6, AF_NETLINK, AF_PACKET] {
            #expect(try confined("socket", Int(family), Int(cs_sock_stream())) == EPERM)
            #expect(try confined("socketpair", Int(family), Int(cs_sock_stream())) == EPERM)
        }
        // A stream for a program, and its name.
        #expect(try confined("socketpair", Int(AF_UNIX), Int(cs_sock_stream())) == EFAULT)
        #expect(try confined("bind", -1) == EBADF)
        #expect(try confined("sendmsg", -1) == EBADF)
        // F_SETFL with O_ASYNC would send signals to a terminal's foreground, F_SETOWN to anybody.
        for command in [F_GETFL, F_SETFL, 8, 10, 15, 1024] {
            #expect(try confined("fcntl", -1, Int(command)) == EPERM, "\(command)")
        }
        #expect(try confined("mprotect", page, 4096, Int(PROT_READ)) == 0)
        #expect(try confined("mprotect", page, 4096, Int(PROT_READ | PROT_EXEC)) == EPERM)
        let others = [
            "execve", "clone", "ptrace", "kill", "ioctl", "unlinkat", "setuid", "mount", "bpf", "userfaultfd",
            "io_uring_setup", "seccomp", "process_vm_readv", "sendmmsg", "memfd_create", "listen", "prctl",
            "finit_module", "chroot", "fchdir", "setns",
        ]
        for other in others { #expect(try confined(other) == EPERM, "\(other)") }
    }

    private func withAddress<R>(_ name: [UInt8], _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> R) rethrows -> R
    {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        return try withUnsafePointer(to: &address) {
            try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { try body($0, socklen_t(2 + name.count)) }
        }
    }

    /// The errno with which a process that is enclosed in a folder comes to a listener.
    private func enclosed(in folder: String, reaches name: [UInt8], as other: [UInt8]? = nil) throws -> Int32 {
        let listener = socket(AF_UNIX, cs_sock_stream(), 0)
        defer { close(listener) }
        let isBound = withAddress(name) { bind(listener, $0, $1) == 0 && listen(listener, 8) == 0 }
        try #require(isBound, "\(String(decoding: name, as: UTF8.self))")
        #expect(withAddress(name) { ct_connect_enclosed(nil, folder, $0, $1) } == 0, "who is not, reaches it")
        return withAddress(other ?? name) { ct_connect_enclosed({ cs_enclose($0, [-1], 1) }, folder, $0, $1) }
    }

    @Test(
        "an enclosed process reaches no socket outside its directory, by path or by abstract name",
        .enabled(if: cs_effective_capabilities() & 1 << 21 != 0, "CAP_SYS_ADMIN is needed"))
    func sockets() throws {
        let folder = try ScratchFolder()
        let inside = folder.path + "/inside"
        try FileManager.default.createDirectory(atPath: inside, withIntermediateDirectories: true)
        #expect(try enclosed(in: inside, reaches: Array("\(folder.path)/outside".utf8)) == ENOENT)
        #expect(
            try enclosed(in: inside, reaches: Array("\(folder.path)/above".utf8), as: Array("../above".utf8)) == ENOENT)
        #expect(try enclosed(in: inside, reaches: [0] + Array("ringway-\(getpid())".utf8)) == ECONNREFUSED)
        // What is in it has the name by which the data path asks for it.
        #expect(try enclosed(in: inside, reaches: Array("\(inside)/3240.4".utf8), as: Array("3240.4".utf8)) == 0)
    }

    /// `ringway status` of a user of no privilege, in a group, or with it besides another.
    private func status(_ guests: Guests, group: Int, besides: Int? = nil) throws -> RingwayProgram.Result {
        var program = RingwayProgram("--reuid=65534", "--regid=\(group)")
        program.program = "/usr/bin/setpriv"
        program.arguments += besides.map { ["--groups=\($0)"] } ?? ["--clear-groups"]
        program.arguments += [RingwayProgram.path, "status", "--runtime-dir", guests.runtime(.a)]
        return try program.run()
    }

    @Test(
        "the control socket is root's, and one group's", .enabled(if: geteuid() == 0, "only root can be others"),
        arguments: Setting.withDoorbells)
    func group(_ setting: Setting) throws {
        let guests = try Guests(setting)
        // Whoever may ask must be able to come to the socket.
        for folder in [guests.folder.path, guests.runtime(.a)] { #expect(chmod(folder, 0o755) == 0) }
        try guests.startAndWait(.a, ["--group=4711"])
        // Its programs may listen, too.
        let services = try FileManager.default.attributesOfItem(atPath: guests.runtime(.a) + "/port")
        #expect(services[.posixPermissions] as? Int == 0o1770 && services[.groupOwnerAccountID] as? Int == 4711)
        #expect(try status(guests, group: 4711).status == 0)
        #expect(try status(guests, group: 65534, besides: 4711).status == 0)
        #expect(try status(guests, group: 65534).status == ExitCode.notPermitted.rawValue)
        // Not even if somebody changes the file's mode: the agent looks at who it is.
        #expect(chmod(guests.runtime(.a) + "/agent.sock", 0o666) == 0)
        #expect(try status(guests, group: 65534, besides: 4712).status != 0)
        #expect(try status(guests, group: 4711).status == 0)
        #expect(try RingwayProgram("status", "--runtime-dir", guests.runtime(.a)).run().status == 0)
    }

    @Test("the data path's process asks the device manager for nothing") func dataPathHasNoSay() throws {
        let folder = try ScratchFolder()
        let manager = try DeviceManager.open(DeviceSettings(runtimeDirectory: folder.path))
        for (dataPath, isHeard) in [(getpid(), false), (getpid() + 1, true), (0, true)] {
            manager.dataPath = dataPath
            let stream = try Stream(connectedTo: folder.path + "/devices.sock")
            manager.acceptClient()
            #expect(manager.clients.isEmpty != isHeard)
            guard let client = manager.clients.first else {
                #expect(stream.isClosed(seconds: Guests.patience))
                continue
            }
            try stream.write(Array("rules\n".utf8))
            manager.hearClient(client.socket)
            #expect(try stream.readToEnd() == Array("0\n".utf8))
        }
        manager.closeDescriptors()
    }

    @Test("what a peer may take of this guest's memory goes by how much it has")
    func openBytes() {
        let mebibyte: UInt64 = 1 << 20
        for (memory, open) in [(0, 4), (64, 4), (112, 7), (256, 16), (1024, 64), (65536, 64)] as [(UInt64, Int)] {
            #expect(GuardLimits.openBytes(ofMemory: memory * mebibyte) >> 20 == open)
        }
        #expect(GuardLimits.openBytes(ofMemory: .max) == 64 << 20)
        #expect(cs_total_memory() > 64 * mebibyte)
    }

    @Test("a policy that cannot be held to, or read, keeps the agent from starting") func policies() throws {
        let folder = try ScratchFolder()
        let good = try folder.add("good", "allow\n")
        let bad = try folder.add("bad", "allow\npermit 1-1\n")
        func agent(_ more: String...) throws -> RingwayProgram.Result {
            let file = try folder.add("memory", String(repeating: "\0", count: 1 << 20))
            var program = RingwayProgram("agent", "--side=a", "--channels=1", "--ring-size=4K")
            program.arguments += [
                "--section-a=file:\(file),size=64K", "--section-b=file:\(file),offset=64K,size=64K",
                "--runtime-dir=\(folder.path)/run",
            ]
            program.arguments += more
            return try program.run()
        }
        let open = try agent("--policy=\(good)", "--guard=off")
        #expect(open.status == ExitCode.badConfiguration.rawValue && open.errors.contains("guard = off, but it is"))
        let wrong = try agent("--policy=\(bad)")
        #expect(wrong.status == ExitCode.badConfiguration.rawValue && wrong.errors.contains("\(bad):2: `permit 1-1`"))
        let absent = try agent("--policy=\(folder.path)/none")
        #expect(absent.status == ExitCode.noSuch.rawValue && absent.errors.contains("reading the policy"))
    }

    @Test func policyCheck() throws {
        let folder = try ScratchFolder()
        let good = try RingwayProgram("policy", "check", folder.add("good", "allow\n\ndeny class=03\n")).run()
        #expect(good.status == 0 && good.output.hasPrefix("\(folder.path)/good: 2 lines; what none of them fits is"))
        let bad = try RingwayProgram("policy", "check", folder.add("bad", "deny classes\n")).run()
        #expect(bad.status == ExitCode.badConfiguration.rawValue && bad.errors.contains("/bad:1: `deny classes`"))
        #expect(try RingwayProgram("policy", "check", folder.path + "/none").run().status == ExitCode.noSuch.rawValue)
        try RingwayProgram.expectUsageError(["policy"], "ringway: policy: the only command is")
        try RingwayProgram.expectUsageError(["policy", "check", "a", "b"], "ringway: policy: unknown argument `b`")
    }
}
