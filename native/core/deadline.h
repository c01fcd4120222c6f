// The end of a KVM_RUN at a moment in time, and the signal that both it and a kick use.
#pragma once

#include <linux/kvm.h>

// The real-time signal that ends a KVM_RUN: the deadline's timer sends it, and so does a kick of a vCPU's thread. Its
// handler does nothing for a thread that has no RunDeadline.
int RunSignal();
// False if the handler cannot be installed; errno says why.
bool InstallRunSignal();

// Ends a KVM_RUN of the calling thread at a moment in time: a timer's signal sets kvm_run.immediate_exit, so that it
// does not matter whether the guest is running, about to be entered, or blocked in HLT when it comes.
class RunDeadline {
 public:
  // Arms the calling thread's timer. `seconds` > 0. On failure ok() is false and errno says why.
  RunDeadline(kvm_run* run, double seconds);
  // Disarms it and takes immediate_exit back if the deadline had set it.
  ~RunDeadline();
  RunDeadline(const RunDeadline&) = delete;
  RunDeadline& operator=(const RunDeadline&) = delete;

  bool ok() const { return ok_; }
  bool expired() const;

 private:
  bool ok_;
};
