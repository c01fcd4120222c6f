// KVM_RUN until an exit or the deadline.
#include "run.h"

#include <sys/ioctl.h>

#include <cerrno>

#include "clock.h"
#include "unanswered.h"

int RunUntil(int fd, kvm_run* run, size_t run_size, const RunDeadline& deadline, double* stamp) {
  for (;;) {
    if (ioctl(fd, KVM_RUN, 0) >= 0) {
      *stamp = static_cast<double>(MonotonicNs());
      DefineUnanswered(run, run_size);
      return 0;
    }
    int error = errno;
    if (error != EINTR) return -error;
    if (deadline.expired()) return -ETIME;
    if (reinterpret_cast<volatile kvm_run*>(run)->immediate_exit) return -EINTR;
  }
}
