// SPDX-License-Identifier: Apache-2.0

/// How the processor treats a mapping. Anything but `cached` allows only plain aligned accesses.
public enum MemoryType: Equatable, Sendable {
    /// Write-back on x86, Normal WB on arm64.
    case cached
    case writeCombining
    /// UC or UC- on x86, Device on arm64.
    case uncached
    /// The kernel does not tell; treated as uncached.
    case unknown

    public var name: String {
        switch self {
        case .cached: return "cached"
        case .writeCombining: return "write-combining"
        case .uncached: return "uncached"
        case .unknown: return "unknown (treated as uncached)"
        }
    }
}
