// What the overhead shim answers KVM_RUN with: it lies behind struct kvm_run, in the same page. bench/cases/script.ts writes
// the same bytes. A real KVM does not look there.
#pragma once

#include <stdint.h>

#define SCRIPT_AT 3072
#define SCRIPT_MAGIC 0x7470697263536d76ull
// Where KVM has the data of an `in` or `out`.
#define IO_DATA_AT 4096

struct answer {
  uint32_t reason;
  uint32_t reserved;
  uint8_t payload[32];
  uint8_t data[8];
  uint64_t rip;
};

struct script {
  uint64_t magic;
  // So many exits: `each` until the last one, which is `last`; then the vCPU halts.
  uint64_t left;
  struct answer each, last;
};
