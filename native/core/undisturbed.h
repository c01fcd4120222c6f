// System calls that a signal must not fail: EINTR is no answer for who asked for a VM.
#pragma once

#include <sys/ioctl.h>

#include <cerrno>

#include "signals.h"

// What the call answers (-1 and errno if it fails; a kernel that is wrong may answer any other negative number), once no signal is in its way. The kernel gives up with EINTR where it would
// hold locks for long: KVM_CREATE_VM at each mapping of the process (mm_take_all_locks), KVM_PRE_FAULT_MEMORY at each page. Just trying again is not enough: a profiler's signal comes more often than such a call takes. So
// signals wait while it is made for the second time. What is left then is a thread that is being killed, or the kernel's own
// notice to it (TIF_NOTIFY_SIGNAL), which a few more tries outlast.
template <typename Call>
auto Undisturbed(Call call) {
  auto result = call();
  if (result != -1 || errno != EINTR) return result;
  SignalsHeld held;
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; i++) {
    result = call();
    if (result != -1 || errno != EINTR) break;
  }
  return result;
}

// An ioctl so. Not for KVM_RUN, whose EINTR means that somebody wants the vCPU out of the guest.
template <typename Argument>
int UndisturbedIoctl(int fd, unsigned long request, Argument argument) {
  return Undisturbed([=] { return ioctl(fd, request, argument); });
}
