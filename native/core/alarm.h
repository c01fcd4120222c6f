// A thread that ends KVM_RUNs at a moment in time, where the kernel gives no timer for it.
#pragma once

#include <linux/kvm.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>

// timer_create() takes one of the signals that RLIMIT_SIGPENDING counts. Where there is none left, one thread of this process
// keeps the time for all: it sets kvm_run.immediate_exit and sends the stand-in (signals.h).
class Alarm {
 public:
  ~Alarm() { Disarm(); }
  // For the calling thread. 0, or the errno by which there is no such thread.
  int Arm(kvm_run* run, double seconds);
  void Disarm();
  bool expired() const { return expired_.load(); }

 private:
  friend class AlarmClock;
  bool armed_ = false;
  kvm_run* run_ = nullptr;
  pid_t tid_ = 0;
  std::chrono::steady_clock::time_point ends_;
  std::atomic<bool> expired_{false};
  Alarm* next_ = nullptr;
};
