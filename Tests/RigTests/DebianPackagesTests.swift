// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Rig

@Suite struct KernelChoiceTests {
    private static func stanza(_ name: String, _ version: String, depends: String = "") -> String {
        "Package: \(name)\nVersion: \(version)\n" + (depends.isEmpty ? "" : "Depends: \(depends)\n")
            + "Description: words\n more words: with a colon\n\n"
    }

    /// What `apt-cache show` prints of one kernel's packages.
    private static func kernel(_ abi: String, _ version: String, kbuild: String, except missing: String = "") -> String
    {
        [
            stanza("linux-image-\(abi)-amd64", version),
            stanza(
                "linux-headers-\(abi)-amd64", version,
                depends:
                    "linux-headers-\(abi)-common (= \(version)), \(kbuild) (>= \(version)), linux-compiler-gcc-12-x86"),
            stanza("linux-headers-\(abi)-common", version),
            stanza(kbuild, version),
        ].filter { missing.isEmpty || !$0.hasPrefix("Package: \(missing)") }.joined()
    }

    private static let metapackage = stanza(
        "linux-image-amd64", "6.1.192-2", depends: "linux-image-6.1.0-56-amd64 (= 6.1.192-2)")

    private static func choose(_ text: String) -> KernelChoice? {
        KernelChoice.newest(stanzas: PackageStanza.parse(text), architecture: .x86_64)
    }

    @Test func theNewestIsTakenByNumber() {
        let text =
            Self.metapackage + Self.kernel("6.1.0-9", "6.1.27-1", kbuild: "linux-kbuild-6.1")
            + Self.kernel("6.1.0-56", "6.1.192-2", kbuild: "linux-kbuild-6.1")
            + Self.kernel("6.1.0-10", "6.1.38-1", kbuild: "linux-kbuild-6.1")
        let choice = Self.choose(text)
        #expect(choice?.release == "6.1.0-56-amd64")
        #expect(choice?.kbuild == "linux-kbuild-6.1")
        #expect(choice?.headers == PackageVersion(name: "linux-headers-6.1.0-56-amd64", version: "6.1.192-2"))
    }

    @Test(arguments: ["linux-headers-6.1.0-56-amd64", "linux-headers-6.1.0-56-common", "linux-image-6.1.0-56-amd64"])
    func anIncompleteOneIsPassedOver(missing: String) {
        let text =
            Self.metapackage + Self.kernel("6.1.0-55", "6.1.180-1", kbuild: "linux-kbuild-6.1")
            + Self.kernel("6.1.0-56", "6.1.192-2", kbuild: "linux-kbuild-6.1", except: missing)
        #expect(Self.choose(text)?.release == "6.1.0-55-amd64")
    }

    @Test func withoutBuildToolsThereIsNone() {
        let text = Self.kernel("6.1.0-56", "6.1.192-2", kbuild: "linux-kbuild-6.1", except: "linux-kbuild")
        #expect(Self.choose(text) == nil)
    }

    @Test func anotherSeriesIsLeftAlone() {
        let newer = Self.kernel("6.12.117+deb12", "6.12.117-1~deb12u1", kbuild: "linux-kbuild-6.12.117+deb12")
        let text = newer + Self.kernel("6.1.0-56", "6.1.192-2", kbuild: "linux-kbuild-6.1")
        #expect(Self.choose(Self.metapackage + text)?.release == "6.1.0-56-amd64")
        #expect(Self.choose(text)?.release == "6.12.117+deb12-amd64")
    }

    @Test func otherFlavoursAreNoCandidates() {
        let names = """
            linux-image-6.1.0-56-amd64
            linux-image-6.1.0-56-amd64-dbg
            linux-image-6.1.0-56-amd64-unsigned
            linux-image-6.1.0-56-cloud-amd64
            linux-image-6.1.0-56-rt-amd64
            linux-image-6.12.117+deb12-amd64
            linux-image-amd64
            linux-image-amd64-signed-template
            linux-image-6.1.0-56-arm64
            """
        #expect(
            KernelChoice.candidates(names: names.split(separator: "\n"), architecture: .x86_64) == [
                "linux-image-6.1.0-56-amd64", "linux-image-6.12.117+deb12-amd64",
            ])
    }
}

@Suite struct AptOutputTests {
    @Test func aSimulationNamesWhatItInstalls() {
        let text = """
            The following NEW packages will be installed:
              libc6 usbip
            Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])
            Inst libkrb5-3 (1.20.1-2+deb12u5 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64]) []
            Inst usbip:arm64 (2.0+6.1.192-2 Debian-Security:12/oldstable-security [arm64])
            Conf libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])
            """
        #expect(
            AptSimulation.parse(text) == [
                PackageVersion(name: "libc6", version: "2.36-9+deb12u14"),
                PackageVersion(name: "libkrb5-3", version: "1.20.1-2+deb12u5"),
                PackageVersion(name: "usbip", version: "2.0+6.1.192-2"),
            ])
    }

    @Test func dependenciesLoseVersionsAndAlternatives() {
        let text = "Package: x\nVersion: 1:2-3\nDepends: a (>= 1), b | c, python3:any (= 3), d\n"
        let stanza = PackageStanza.parse(text)[0]
        #expect(stanza.version == "1:2-3")
        #expect(stanza.depends == ["a", "b", "python3", "d"])
    }

    @Test func checksumsOfAPackage() {
        let text = "0123abcd  usr/sbin/usbip\nffff  usr/share/doc/a file\n"
        #expect(
            DebianPackage.parseChecksums(text) == ["usr/sbin/usbip": "0123abcd", "usr/share/doc/a file": "ffff"])
    }
}

@Suite struct AptSourcesTests {
    @Test func linesOfOtherPartiesAreLeftOut() {
        var sources = AptSources()
        sources.add(
            """
            # deb http://mirror.example/debian bookworm main
            deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main # comment
            deb [arch=amd64] http://mirror.example/debian bookworm-updates main contrib
            deb-src http://mirror.example/debian bookworm main
            deb https://other.example/apt other-bookworm main
            deb https://other.example/apt stable main
            """, deb822: false, codename: "bookworm")
        #expect(
            sources.lines.map { $0.split(separator: " ").joined(separator: " ") } == [
                "deb [ signed-by=/k.gpg] http://mirror.example/debian bookworm main # comment",
                "deb http://mirror.example/debian bookworm-updates main contrib",
            ])
    }

    @Test func stanzasLoseTheirArchitecture() {
        var sources = AptSources()
        let debian =
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main"
        sources.add(
            """
            # a comment
            \(debian)
            Architectures: amd64

            Types: deb
            URIs: https://other.example/apt
            Suites: nodistro

            \(debian)
            Enabled: no
            """, deb822: true, codename: "bookworm")
        #expect(sources.stanzas == [debian])
    }

    @Test func theReleaseIsRead() {
        #expect(AptSources.codename(ofRelease: "ID=debian\nVERSION_CODENAME=bookworm\n") == "bookworm")
        #expect(AptSources.codename(ofRelease: "VERSION_CODENAME=\"trixie\"\n") == "trixie")
        #expect(AptSources.codename(ofRelease: "ID=debian\n") == nil)
    }
}

@Suite struct KernelTreeTests {
    @Test func theMakefileFindsItsNeighbour() {
        #expect(
            KernelTree.relocated(makefile: "include /usr/src/linux-headers-6.1.0-56-common/Makefile\n")
                == "include $(dir $(lastword $(MAKEFILE_LIST)))../linux-headers-6.1.0-56-common/Makefile\n")
    }

    @Test func theCompilerOfTheKernel() {
        let text = "override ARCH = x86\nCC = $(if $(DEBIAN_KERNEL_USE_CCACHE),$(CCACHE)) $(CROSS_COMPILE)gcc-12\n"
        #expect(KernelTree.compiler(inVariables: text) == "gcc-12")
        #expect(KernelTree.compiler(inVariables: "") == nil)
    }

    @Test func warningsFailTheBuild() {
        let output =
            "  CC [M]  x.o\nx.c:1:2: warning: unused variable 'y'\nWARNING: modpost: missing MODULE_LICENSE()\n"
        #expect(KernelTree.warnings(in: output).count == 2)
        #expect(KernelTree.warnings(in: "warning: the compiler differs from the one used to build the kernel\n") == [])
    }
}
