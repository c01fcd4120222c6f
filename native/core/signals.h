// The signals by which the addon takes a thread out of KVM_RUN, and keeping signals away.
#pragma once

#include <sys/types.h>

#include <csignal>

// The real-time signal that ends a KVM_RUN: the watchdog sends it at a deadline, and so does a kick of a vCPU's thread. A
// program that handles signals by itself has no use for this one.
int RunSignal();

// Its stand-in: the kernel refuses a real-time signal, but no standard one, where the user's signals that wait have reached
// RLIMIT_SIGPENDING. SIGURG, since nothing happens to a process that gets one and has not asked for it: node does not use it,
// debuggers let it pass, and sockets send it to those alone that called F_SETOWN.
constexpr int kSpareSignal = SIGURG;

// Each gives 0, or an errno.
// A handler for the run signal that does nothing: that it comes is all. Once per process.
int InstallRunSignal();
// A handler that does nothing, so that the stand-in interrupts. One that the program has installed stays: it interrupts as well.
int InstallSpareSignal();
// Interrupts the system call of a thread of this process.
int InterruptThread(pid_t tid);

// As long as it lives, signals wait for the calling thread: all but those that a fault of its own makes.
class SignalsHeld {
 public:
  SignalsHeld();
  ~SignalsHeld();
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_;
};
