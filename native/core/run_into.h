// KVM_RUN on the calling thread, again and again, as long as nobody has to look at an exit.
#pragma once

#include <cstdint>

#include "exit_log.h"
#include "run.h"

// Where the exits go, and how many at most come before somebody gets a turn.
struct Into {
  ExitLog& log;
  unsigned vcpu;
  uint64_t most;
};

// 0: kvm_run holds an exit that somebody is to look at, whose CLOCK_MONOTONIC time in ns went to `stamp`; -ETIME: the limit
// came first, or `most` exits; else an errno negated: KVM_RUN's, or ENOMEM if the log has no room.
int RunIntoLog(const Run& run, const Into& into, Watch& watch, double* stamp);
