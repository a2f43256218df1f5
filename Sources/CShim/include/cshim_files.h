// SPDX-License-Identifier: Apache-2.0
// What only some file systems know of a file. Included by cshim.h.
#ifndef RINGWAY_CSHIM_FILES_H
#define RINGWAY_CSHIM_FILES_H
#include <stdio.h>
#include <sys/xattr.h>

// Whether execve of the file grants capabilities (setcap).
static inline __attribute__((always_inline, unused)) bool cs_has_file_capabilities(const char *_Nonnull path) {
  return getxattr(path, "security.capability", NULL, 0) > 0;
}
// rename; the importer does not see it under every libc's <stdio.h>.
static inline __attribute__((always_inline, unused)) int cs_rename(const char *_Nonnull from, const char *_Nonnull to) {
  return rename(from, to);
}
#endif
