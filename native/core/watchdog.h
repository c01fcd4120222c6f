// The deadlines of all KVM_RUNs that are called on the threads of JavaScript: one thread of the process keeps them.
#pragma once

#include <linux/kvm.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>

// How long a KVM_RUN may take.
struct RunLimit {
  // From the call on, > 0.
  double seconds;
  // CLOCK_MONOTONIC in ns; infinite if there is no such end.
  double ends_ns;
};

// A thread that runs guests, as the watchdog sees it. A run costs it neither a system call nor a look at the clock: it
// leaves word that it goes in and that it is out, and the watchdog, which looks every few milliseconds as long as there is
// something to see, measures from when it has seen it go in. So a deadline is never early, and late by one look at most.
//
// At a deadline the watchdog sets kvm_run.immediate_exit and interrupts the thread: it does not matter whether the guest is
// running, about to be entered, or blocked in HLT.
class alignas(64) Watch {
 public:
  // The calling thread's, made when it is first asked for. Null if it cannot be: `failed` is the call that did.
  static Watch* Mine(const char*& failed, int& error);

  // The calling thread goes into KVM_RUN, and is out of it.
  void Begin(kvm_run* run, const RunLimit& limit);
  // Takes immediate_exit back if the deadline had set it.
  void End();
  // Between both: the deadline is over.
  bool expired() const { return (state_.load() & kMask) == kLate; }

  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  friend class Watchdog;
  friend struct WatchOwner;
  Watch() = default;

  // The low bits of `state_`; above them the number of the run.
  enum : uint64_t { kOut = 0, kIn = 1, kLate = 2, kMask = 3, kOne = 4 };

  std::atomic<uint64_t> state_{kOut};
  // Of the run whose number `state_` has.
  std::atomic<kvm_run*> run_{nullptr};
  std::atomic<double> seconds_{0};
  std::atomic<double> ends_ns_{0};

  // The watchdog's, under its mutex.
  pid_t tid_ = 0;
  uint64_t seen_ = kOut;
  double due_ns_ = 0;
  Watch* next_ = nullptr;
};
