// A timer for each thread that runs a guest, and the handler of its signal.
#include "deadline.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <ctime>

#include "signals.h"

namespace {

struct Pending {
  kvm_run* volatile run;
  volatile sig_atomic_t expired;
};
// initial-exec: the handler must not be the first to touch it, since a lazy allocation is not safe there.
__attribute__((tls_model("initial-exec"))) thread_local Pending pending;

void OnDeadline(int) {
  kvm_run* run = pending.run;
  if (!run) return;
  pending.expired = 1;
  reinterpret_cast<volatile kvm_run*>(run)->immediate_exit = 1;
}

class ThreadTimer {
 public:
  ~ThreadTimer() {
    if (created_) timer_delete(timer_);
  }
  // 0, or the errno of timer_create.
  int Create() {
    if (created_) return 0;
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, RunSignal());
    pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = RunSignal();
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    created_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
    return created_ ? 0 : errno;
  }
  int Arm(double seconds) {
    itimerspec spec = {};
    double whole = std::floor(seconds);
    spec.it_value.tv_sec = static_cast<time_t>(whole);
    spec.it_value.tv_nsec = static_cast<long>((seconds - whole) * 1e9);
    if (spec.it_value.tv_sec == 0 && spec.it_value.tv_nsec == 0) spec.it_value.tv_nsec = 1;
    return timer_settime(timer_, 0, &spec, nullptr) == 0 ? 0 : errno;
  }
  void Disarm() {
    itimerspec spec = {};
    if (created_) timer_settime(timer_, 0, &spec, nullptr);
  }

 private:
  timer_t timer_ = {};
  bool created_ = false;
};

ThreadTimer& Timer() {
  thread_local ThreadTimer timer;
  return timer;
}

}  // namespace

int InstallDeadlineHandler() { return InstallRunSignal(OnDeadline); }

RunDeadline::RunDeadline(kvm_run* run, double seconds) {
  pending.expired = 0;
  pending.run = run;
  auto did = [this](const char* what, int error) {
    failed_ = error ? what : nullptr;
    error_ = error;
    return error == 0;
  };
  if (!did("sigaction", InstallDeadlineHandler())) return;
  // Created once, it needs nothing more of the kernel.
  if (did("timer_create", Timer().Create())) {
    did("timer_settime", Timer().Arm(seconds));
    return;
  }
  if (alarm_.Arm(run, seconds) == 0) did("", 0);
}

RunDeadline::~RunDeadline() {
  int saved = errno;
  Timer().Disarm();
  alarm_.Disarm();
  kvm_run* run = pending.run;
  bool expired = this->expired();
  pending.run = nullptr;
  if (expired) reinterpret_cast<volatile kvm_run*>(run)->immediate_exit = 0;
  errno = saved;
}

bool RunDeadline::expired() const { return pending.expired != 0 || alarm_.expired(); }
