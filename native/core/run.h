// KVM_RUN on the calling thread.
#pragma once

#include <linux/kvm.h>

#include <cstddef>

#include "deadline.h"

// Enters the guest until there is an exit or the deadline is over. 0: kvm_run holds an exit, whose CLOCK_MONOTONIC time in
// ns went to `stamp`; -ETIME: the deadline came first; else the errno of KVM_RUN, negated. A signal that is not ours (a
// profiler's, a child's) is no news to the guest or the caller: the guest goes on.
int RunUntil(int fd, kvm_run* run, size_t run_size, const RunDeadline& deadline, double* stamp);
