// LD_PRELOAD: answers KVM_RUN with what the vCPU's user has put behind struct kvm_run (bench/c/script.h), after an almost
// empty system call that takes as long as an exit of real hardware does. So what remains of a case's time is user space's
// own. It never runs a guest: it says what a call costs, and nothing of what it does.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "../c/script.h"

#define MOST_FDS 4096
#define KVM_DSM_IPI _IOC(_IOC_WRITE, KVMIO, 0xf3, 16)

struct vcpu {
  int is_vcpu;
  struct kvm_run* run;
  int has_regs, has_sregs;
  // KVM_SET_SIGNAL_MASK is set: whoever does that has a signal pending, and wants to know only what is left of the last exit.
  int settles;
  struct kvm_regs regs;
  struct kvm_sregs sregs;
};

static struct vcpu vcpus[MOST_FDS];
static uint64_t call_cycles;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ull + now.tv_nsec;
}

__attribute__((constructor)) static void calibrate(void) {
  const char* given = getenv("KVM_DSM_BENCH_CALL_NS");
  double ns = given ? atof(given) : 1200;
  uint64_t began = now_ns(), tsc = __rdtsc(), past;
  while ((past = now_ns() - began) < 5000000);
  call_cycles = (uint64_t)(ns * (double)(__rdtsc() - tsc) / (double)past);
}

// One entry of the kernel, and as much time as it would have taken.
static void call_of_an_exit(uint64_t began) {
  syscall(SYS_getppid);
  while (__rdtsc() - began < call_cycles);
}

// Until somebody wants it out, by immediate_exit and then a signal, which cannot come between the look and the sleep. It costs
// nothing meanwhile: of 64 vCPUs those that are through would take the others' time.
static int halt(struct kvm_run* run) {
  const struct timespec moment = {.tv_nsec = 10000000};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (!__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST)) ppoll(0, 0, &moment, &before);
  pthread_sigmask(SIG_SETMASK, &before, 0);
  errno = EINTR;
  return -1;
}

static int run_vcpu(struct vcpu* vcpu) {
  uint64_t began = __rdtsc();
  struct kvm_run* run = vcpu->run;
  struct script* script = (struct script*)((char*)run + SCRIPT_AT);
  if (vcpu->settles || __atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST)) {
    syscall(SYS_getppid);
    errno = EINTR;
    return -1;
  }
  if (script->left == 0) return halt(run);
  const struct answer* answer = --script->left ? &script->each : &script->last;
  run->exit_reason = answer->reason;
  memcpy(run->padding, answer->payload, sizeof answer->payload);
  memcpy((char*)run + IO_DATA_AT, answer->data, sizeof answer->data);
  if (run->kvm_valid_regs & KVM_SYNC_X86_REGS) {
    run->s.regs.regs = vcpu->regs;
    run->s.regs.regs.rip = answer->rip;
  }
  call_of_an_exit(began);
  return 0;
}

static int known(int fd) { return fd >= 0 && fd < MOST_FDS && vcpus[fd].is_vcpu; }

// What KVM says of a vCPU's registers changes by what is set, and by a run that this is not.
static int get_kept(int fd, unsigned long request, void* argument, int* has, void* kept, size_t size) {
  uint64_t began = __rdtsc();
  if (!*has) {
    int result = syscall(SYS_ioctl, fd, request, argument);
    if (result == 0) memcpy(kept, argument, size), *has = 1;
    return result;
  }
  memcpy(argument, kept, size);
  call_of_an_exit(began);
  return 0;
}

int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  struct vcpu* vcpu = known(fd) ? &vcpus[fd] : 0;
  int scripted = vcpu && vcpu->run && ((struct script*)((char*)vcpu->run + SCRIPT_AT))->magic == SCRIPT_MAGIC;

  if (request == KVM_RUN && scripted) return run_vcpu(vcpu);
  if (request == KVM_GET_REGS && vcpu)
    return get_kept(fd, request, argument, &vcpu->has_regs, &vcpu->regs, sizeof vcpu->regs);
  if (request == KVM_GET_SREGS && vcpu)
    return get_kept(fd, request, argument, &vcpu->has_sregs, &vcpu->sregs, sizeof vcpu->sregs);
  if (request == KVM_SIGNAL_MSI || request == KVM_DSM_IPI) {
    call_of_an_exit(__rdtsc());
    return request == KVM_SIGNAL_MSI;
  }
  if (request == KVM_SET_SIGNAL_MASK && vcpu) vcpu->settles = argument != 0;
  if (vcpu && _IOC_DIR(request) != _IOC_READ) vcpu->has_regs = vcpu->has_sregs = 0;
  int result = syscall(SYS_ioctl, fd, request, argument);
  if (request == KVM_CREATE_VCPU && result >= 0 && result < MOST_FDS) vcpus[result] = (struct vcpu){.is_vcpu = 1};
  return result;
}

void* mmap(void* at, size_t size, int protection, int flags, int fd, off_t offset) {
  void* result = (void*)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
  if (result != MAP_FAILED && known(fd)) vcpus[fd].run = result;
  return result;
}
void* mmap64(void* at, size_t size, int protection, int flags, int fd, off_t offset)
    __attribute__((alias("mmap")));

int close(int fd) {
  if (known(fd)) vcpus[fd] = (struct vcpu){0};
  return syscall(SYS_close, fd);
}
