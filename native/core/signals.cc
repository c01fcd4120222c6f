// Sending, handling and holding signals.
#include "signals.h"

#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

namespace {

// The handlers and the code of the vCPUs' threads stay in memory even if the environment that loaded this addon ends:
// node unloads the addon of a worker that was its only user.
void Pin() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&Pin), &self) && self.dli_fname)
    dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

int Install(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  // One that comes late, outside KVM_RUN, must not disturb the system call that it meets.
  action.sa_flags = SA_RESTART;
  return sigaction(signal, &action, nullptr) == 0 ? 0 : errno;
}

void Interrupt(int) {}

int Send(pid_t tid, int signal) { return syscall(SYS_tgkill, getpid(), tid, signal) == 0 ? 0 : errno; }

}  // namespace

// The C library keeps the first few real-time signals, and a program that uses one by hand tends to start from
// SIGRTMIN.
int RunSignal() { return SIGRTMAX - 7; }

int InstallRunSignal() {
  static std::once_flag once;
  static int result = 0;
  std::call_once(once, [] {
    Pin();
    result = Install(RunSignal(), Interrupt);
  });
  return result;
}

int InstallSpareSignal() {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  // Each time: a program that stops listening to it takes the handler away.
  struct sigaction now;
  if (sigaction(kSpareSignal, nullptr, &now) != 0) return errno;
  if (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN) return 0;
  return Install(kSpareSignal, Interrupt);
}

int InterruptThread(pid_t tid) {
  int result = Send(tid, RunSignal());
  if (result != EAGAIN) return result;
  result = InstallSpareSignal();
  return result ? result : Send(tid, kSpareSignal);
}

SignalsHeld::SignalsHeld() {
  sigset_t mask;
  sigfillset(&mask);
  for (int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&mask, fault);
  pthread_sigmask(SIG_BLOCK, &mask, &before_);
}

SignalsHeld::~SignalsHeld() {
  int saved = errno;
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  errno = saved;
}
