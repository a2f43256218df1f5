// SPDX-License-Identifier: Apache-2.0
// Embedded Swift has no CommandLine, and a Swift @main is actor-isolated: a C main serves both builds.
extern int ringway_main(int argc, char **argv);
int main(int argc, char **argv) { return ringway_main(argc, argv); }
