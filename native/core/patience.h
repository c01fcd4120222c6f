// How long a thread looks for what it waits for before it sleeps.
#pragma once

#include <sched.h>

#include <cstdint>

#include "clock.h"

// As KVM's halt polling (virt/kvm/kvm_main.c, grow_halt_poll_ns): a CPU that went idle takes longer to wake than a short
// exit takes to be answered. A wait that was short makes the next look longer, a long one ends the looking. Of one thread.
class Patience {
 public:
  // True as soon as `came` is; false if it is not for as long as is looked.
  template <typename Came>
  bool Look(Came came) {
    if (came()) return true;
    if (ns_ == 0) return false;
    for (uint64_t begin = MonotonicNs(); MonotonicNs() - begin < ns_;) {
      // To whoever wants this CPU: it may be what is waited for.
      sched_yield();
      if (came()) return true;
    }
    return false;
  }

  bool looks() const { return ns_ != 0; }

  // So long it was in all, from the begin of the look on. Of a look that had what it wanted nothing is learnt.
  void Learn(uint64_t waited_ns) {
    if (waited_ns > kMostNs)
      ns_ = 0;
    else if (ns_ < kMostNs)
      ns_ = ns_ == 0 ? kFirstNs : ns_ * 2;
  }

 private:
  static constexpr uint64_t kFirstNs = 12'500;
  static constexpr uint64_t kMostNs = 100'000;
  uint64_t ns_ = 0;
};
