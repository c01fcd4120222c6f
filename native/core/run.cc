// KVM_RUN until an exit or the deadline.
#include "run.h"

#include <sys/ioctl.h>

#include <cerrno>

#include "unanswered.h"

namespace {

int EnterUntil(const Run& run, const Watch& watch) {
  for (;;) {
    if (ioctl(run.fd, KVM_RUN, 0) >= 0) return 0;
    int error = errno;
    if (error != EINTR && !(error == EAGAIN && run.again)) return -error;
    if (watch.expired()) return -ETIME;
    if (error == EINTR && reinterpret_cast<volatile kvm_run*>(run.page)->immediate_exit) return -EINTR;
  }
}

}  // namespace

int RunUntil(const Run& run, Watch& watch) {
  watch.Begin(run.page, run.limit);
  int result = EnterUntil(run, watch);
  watch.End();
  if (result == 0) DefineUnanswered(run.page, run.page_size);
  return result;
}
