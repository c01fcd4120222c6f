// Finishing what a vCPU's last exit left to do, without running the guest.
#pragma once

#include <linux/kvm.h>

#include <cstddef>

// Enters KVM_RUN with a signal pending. KVM then finishes what the last exit left to do (a port that was read, an
// instruction with more to write) and acts on its own pending requests, and leaves before the guest's next instruction.
// Returns 0 if that made an exit, which lies in kvm_run; -EINTR if there was none; else the errno negated.
//
// immediate_exit would not do: KVM looks at it before its pending requests.
int SettleVcpu(int fd, kvm_run* run, size_t run_size);
