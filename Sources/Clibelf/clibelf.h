// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <gelf.h>
#include <libelf.h>
