// Which exits a vCPU's thread puts into the ring by itself, and how.
#pragma once

#include <linux/kvm.h>

#include <bitset>
#include <cstddef>
#include <cstdint>

#include "ring.h"

// The bytes of kvm_run's union, whatever the exit has of them.
constexpr size_t kRunUnionBytes = 256;
// As many of them as those exits have that are looked into: KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_HYPERV.
constexpr size_t kDecidingBytes = 24;

// Which exits the thread puts into a ring by itself.
struct RecordPlan {
  std::bitset<256> reasons;
  RecordRing* ring = nullptr;
  size_t union_bytes = 0;  // at most kRunUnionBytes
  size_t io_bytes = 0;
  size_t watermark = 0;  // records that wait when the consumer is told
  bool rip = false;      // ask KVM for the registers at every exit (KVM_CAP_SYNC_REGS)
};

// What the thread has read of an exit. JavaScript has the page of kvm_run too and may write it at any moment: each byte
// that decides anything is read once, and what was checked is what is used.
struct TakenExit {
  uint32_t reason = 0;
  // Of KVM_EXIT_IO: where in the page its data lie, and how many bytes.
  size_t data_offset = 0;
  uint16_t io_bytes = 0;
  uint64_t rip = 0;
  // How many of its payload's bytes are here; the rest of the union decides nothing, and stays in the page.
  size_t taken = 0;
  alignas(8) uint8_t bytes[kDecidingBytes];
};

// Reads the exit that lies in kvm_run, and tells whether the plan has it. An access that waits for an answer is not for the
// ring: nobody would have given it. Nor is one whose data would not lie within the page's `run_size` bytes.
bool Take(const kvm_run* run, size_t run_size, const RecordPlan& plan, TakenExit& exit);

// Puts that exit into the plan's ring. False if the ring is full.
bool Record(const kvm_run* run, const TakenExit& exit, const RecordPlan& plan, uint64_t seq, uint64_t ns);
