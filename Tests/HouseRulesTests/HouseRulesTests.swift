// SPDX-License-Identifier: Apache-2.0
import Testing

struct HouseRulesTests {
    @Test("the tree keeps the rule", arguments: rules)
    func tree(_ rule: Rule) {
        #expect(SourceTree.files.count > 50, "the tree was not found")
        let violations = SourceTree.files.flatMap(rule.check)
        #expect(violations.isEmpty, "\(violations.joined(separator: "\n"))")
    }

    @Test("the rule sees a file that breaks it, and passes one that keeps it", arguments: rules)
    func rule(_ rule: Rule) {
        #expect(rule.check(rule.broken).count == 1)
        #expect(rule.check(rule.kept).isEmpty)
    }
}
