// A VM as one makes it by hand: what each case of the C side runs in.
#pragma once

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "script.h"

#define MOST_VCPUS 64
#define MEMORY (2 << 20)
#define PROGRAM(id) (0x10000 + (id) * 0x1000)

struct vcpu {
  int fd;
  struct kvm_run* run;
};

struct vm {
  int kvm, fd, vcpu_count;
  size_t run_size;
  uint8_t* memory;
  struct vcpu vcpus[MOST_VCPUS];
};

// What a guest's program is, and how the shim has it exit: `each` and, in the end, `last`.
struct guest {
  const char* name;
  size_t size;
  uint8_t code[64];
  struct answer each, last;
};

// Ends the process and says why if a call fails.
long must(long result, const char* what);

void vm_make(struct vm* vm, int vcpus);
void vm_close(struct vm* vm);
// Points the vCPU at the guest's program, which makes `exits` exits, its last one, and halts.
void vm_enter(struct vm* vm, int id, const struct guest* guest, uint64_t exits);
// KVM_RUN until the vCPU exits; returns its reason.
static inline uint32_t vcpu_run(struct vcpu* vcpu);
void run_failed(void);

#include <errno.h>
#include <sys/ioctl.h>

static inline uint32_t vcpu_run(struct vcpu* vcpu) {
  while (ioctl(vcpu->fd, KVM_RUN, 0) < 0)
    if (errno != EINTR) run_failed();
  return vcpu->run->exit_reason;
}
