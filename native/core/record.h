// Which exits a vCPU's thread puts into the ring by itself, and how.
#pragma once

#include <linux/kvm.h>

#include <bitset>
#include <cstddef>
#include <cstdint>

#include "ring.h"

// Which exits the thread puts into a ring by itself.
struct RecordPlan {
  std::bitset<256> reasons;
  RecordRing* ring = nullptr;
  size_t union_bytes = 0;
  size_t io_bytes = 0;
  size_t watermark = 0;  // records that wait when the consumer is told
  bool rip = false;      // ask KVM for the registers at every exit (KVM_CAP_SYNC_REGS)
};

// Whether the plan has the exit that lies in kvm_run. An access that waits for an answer is not for the ring: nobody would
// have given it.
bool Recordable(const kvm_run* run, size_t run_size, const RecordPlan& plan);

// Puts that exit into the plan's ring. False if the ring is full.
bool Record(const kvm_run* run, const RecordPlan& plan, uint64_t seq, uint64_t ns);
