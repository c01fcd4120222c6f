// KVM_RUN into a log.
#include "run_into.h"

#include <sys/ioctl.h>

#include <cerrno>

#include "clock.h"
#include "unanswered.h"

namespace {

int EnterIntoLog(const Run& run, const Into& into, const Watch& watch, double* stamp) {
  for (uint64_t left = into.most; left > 0;) {
    if (ioctl(run.fd, KVM_RUN, 0) < 0) {
      const int error = errno;
      if (error != EINTR && !(error == EAGAIN && run.again)) return -error;
      if (watch.expired()) return -ETIME;
      if (error == EINTR && __atomic_load_n(&run.page->immediate_exit, __ATOMIC_RELAXED)) return -EINTR;
      continue;
    }
    const uint64_t ns = MonotonicNs();
    DefineUnanswered(run.page, run.page_size);
    switch (into.log.Log(run.page, run.page_size, into.vcpu, ns)) {
      case ExitLog::Next::kGoesOn:
        left -= 1;
        break;
      case ExitLog::Next::kParks:
        *stamp = static_cast<double>(ns);
        return 0;
      case ExitLog::Next::kNoMemory:
        return -ENOMEM;
    }
  }
  return -ETIME;
}

}  // namespace

int RunIntoLog(const Run& run, const Into& into, Watch& watch, double* stamp) {
  watch.Begin(run.page, run.limit);
  int result = EnterIntoLog(run, into, watch, stamp);
  watch.End();
  return result;
}
