// KVM_RUN on the calling thread.
#pragma once

#include <linux/kvm.h>

#include <cstddef>

#include "watchdog.h"

// What is run, and until when.
struct Run {
  int fd;
  kvm_run* page;
  size_t page_size;
  RunLimit limit;
  // KVM_RUN's EAGAIN (an AP has taken INIT or SIPI) is no end: the guest goes on.
  bool again;
};

// Enters the guest until there is an exit or the limit is reached. 0: kvm_run holds an exit; -ETIME: the limit came first;
// else the errno of KVM_RUN, negated. A signal that is not ours (a profiler's, a child's) is no news to the guest or the
// caller: the guest goes on.
int RunUntil(const Run& run, Watch& watch);
