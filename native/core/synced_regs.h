// The registers that KVM_RUN leaves in kvm_run (KVM_CAP_SYNC_REGS): RIP and RCX of x86. Another architecture has others, and tells none of them here.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

#include "shared_run.h"

#if defined(__x86_64__)
/** For kvm_run.kvm_valid_regs. */
constexpr uint64_t kSyncedRegs = KVM_SYNC_X86_REGS;
inline uint64_t SyncedRip(const kvm_run* run) { return ReadOnce(run->s.regs.regs.rip); }
inline uint64_t SyncedRcx(const kvm_run* run) { return ReadOnce(run->s.regs.regs.rcx); }
#else
constexpr uint64_t kSyncedRegs = 0;
inline uint64_t SyncedRip(const kvm_run*) { return 0; }
inline uint64_t SyncedRcx(const kvm_run*) { return 0; }
#endif
