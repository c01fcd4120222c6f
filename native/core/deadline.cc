// A timer for each thread that runs a guest, and the handler of its signal.
#include "deadline.h"

#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <ctime>
#include <mutex>

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

// The handler and the code of the vCPUs' threads stay in memory even if the environment that loaded this addon ends:
// node unloads the addon of a worker that was its only user.
void Pin() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&Pin), &self) && self.dli_fname)
    dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

class ThreadTimer {
 public:
  ThreadTimer() {
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, RunSignal());
    pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = RunSignal();
    event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
    created_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
  }
  ~ThreadTimer() {
    if (created_) timer_delete(timer_);
  }
  bool Arm(double seconds) {
    if (!created_) return false;
    itimerspec spec = {};
    double whole = std::floor(seconds);
    spec.it_value.tv_sec = static_cast<time_t>(whole);
    spec.it_value.tv_nsec = static_cast<long>((seconds - whole) * 1e9);
    if (spec.it_value.tv_sec == 0 && spec.it_value.tv_nsec == 0) spec.it_value.tv_nsec = 1;
    return timer_settime(timer_, 0, &spec, nullptr) == 0;
  }
  void Disarm() {
    itimerspec spec = {};
    timer_settime(timer_, 0, &spec, nullptr);
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

// The C library keeps the first few real-time signals, and a program that uses one by hand tends to start from
// SIGRTMIN.
int RunSignal() { return SIGRTMAX - 7; }

bool InstallRunSignal() {
  static std::once_flag once;
  static bool installed = false;
  std::call_once(once, [] {
    Pin();
    struct sigaction action = {};
    action.sa_handler = OnDeadline;
    // A tick that comes late, outside KVM_RUN, must not disturb the system call that it meets.
    action.sa_flags = SA_RESTART;
    installed = sigaction(RunSignal(), &action, nullptr) == 0;
  });
  return installed;
}

RunDeadline::RunDeadline(kvm_run* run, double seconds) {
  pending.expired = 0;
  pending.run = run;
  ok_ = InstallRunSignal() && Timer().Arm(seconds);
}

RunDeadline::~RunDeadline() {
  int saved = errno;
  Timer().Disarm();
  kvm_run* run = pending.run;
  pending.run = nullptr;
  if (pending.expired) reinterpret_cast<volatile kvm_run*>(run)->immediate_exit = 0;
  errno = saved;
}

bool RunDeadline::expired() const { return pending.expired != 0; }
