// KVM_RUN with a signal pending.
#include "settle.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>

#include "signals.h"
#include "unanswered.h"

namespace {

// struct kvm_signal_mask as C lays it out: C++ gives the header's empty array a size.
struct SignalMask {
  uint32_t length = 8;
  uint32_t set[2];
};
constexpr uint32_t kSetSignalMask = _IOC(_IOC_WRITE, KVMIO, 0x8b, sizeof(uint32_t));

}  // namespace

// The signal never reaches a handler: it is blocked but within KVM_RUN, and taken back at once. A standard one: the kernel may
// refuse a real-time signal (RLIMIT_SIGPENDING), and KVM_RUN would run the guest without an end.
int SettleVcpu(int fd, kvm_run* run, size_t run_size) {
  sigset_t ours, before;
  sigemptyset(&ours);
  sigaddset(&ours, kSpareSignal);
  pthread_sigmask(SIG_BLOCK, &ours, &before);

  // Within KVM_RUN every signal but this one is blocked: another's handler would run before KVM has looked.
  uint64_t blocked = ~(uint64_t{1} << (kSpareSignal - 1));
  SignalMask mask;
  memcpy(mask.set, &blocked, sizeof blocked);
  int result = ioctl(fd, kSetSignalMask, &mask) < 0 ? -errno : 0;
  if (result == 0) {
    result = -pthread_kill(pthread_self(), kSpareSignal);
    if (result == 0) result = ioctl(fd, KVM_RUN, 0) < 0 ? -errno : 0;
    ioctl(fd, kSetSignalMask, nullptr);
    timespec now = {};
    sigtimedwait(&ours, nullptr, &now);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (result == 0) DefineUnanswered(run, run_size);
  return result;
}
