// The end of a KVM_RUN at a moment in time.
#pragma once

#include <linux/kvm.h>

#include "alarm.h"

// The handler of the run signal, which does nothing for a thread that has no RunDeadline. 0, or an errno.
int InstallDeadlineHandler();

// Ends a KVM_RUN of the calling thread at a moment in time: a timer's signal sets kvm_run.immediate_exit, so that it
// does not matter whether the guest is running, about to be entered, or blocked in HLT when it comes.
class RunDeadline {
 public:
  // Arms the calling thread's timer, or an Alarm where the kernel gives it none. `seconds` > 0.
  RunDeadline(kvm_run* run, double seconds);
  // Disarms it and takes immediate_exit back if the deadline had set it.
  ~RunDeadline();
  RunDeadline(const RunDeadline&) = delete;
  RunDeadline& operator=(const RunDeadline&) = delete;

  // What failed, and how; null if nothing did.
  const char* failed() const { return failed_; }
  int error() const { return error_; }
  bool expired() const;

 private:
  const char* failed_ = nullptr;
  int error_ = 0;
  Alarm alarm_;
};
