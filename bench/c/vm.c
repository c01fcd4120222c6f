// See vm.h.
#define _GNU_SOURCE
#include "vm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CPUID_ENTRIES 256

long must(long result, const char* what) {
  if (result >= 0) return result;
  perror(what);
  exit(1);
}

void run_failed(void) { must(-1, "KVM_RUN"); }

void vm_make(struct vm* vm, int vcpus) {
  static struct {
    struct kvm_cpuid2 head;
    struct kvm_cpuid_entry2 entries[CPUID_ENTRIES];
  } cpuid;
  vm->kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  must(ioctl(vm->kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION ? 0 : -1, "KVM_GET_API_VERSION");
  vm->run_size = must(ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
  vm->fd = must(ioctl(vm->kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
  vm->vcpu_count = vcpus;
  must(ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
  must(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
  cpuid.head.nent = CPUID_ENTRIES;
  must(ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "KVM_GET_SUPPORTED_CPUID");
  vm->memory = mmap(0, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  must(vm->memory == MAP_FAILED ? -1 : 0, "mmap");
  struct kvm_userspace_memory_region region = {.memory_size = MEMORY, .userspace_addr = (uintptr_t)vm->memory};
  must(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
  for (int id = 0; id < vcpus; id++) {
    struct vcpu* vcpu = &vm->vcpus[id];
    vcpu->fd = must(ioctl(vm->fd, KVM_CREATE_VCPU, id), "KVM_CREATE_VCPU");
    vcpu->run = mmap(0, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    must(vcpu->run == MAP_FAILED ? -1 : 0, "mmap of kvm_run");
    must(ioctl(vcpu->fd, KVM_SET_CPUID2, &cpuid), "KVM_SET_CPUID2");
    struct kvm_mp_state runnable = {KVM_MP_STATE_RUNNABLE};
    if (id > 0) must(ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable), "KVM_SET_MP_STATE");
  }
}

void vm_close(struct vm* vm) {
  for (int id = 0; id < vm->vcpu_count; id++) {
    munmap(vm->vcpus[id].run, vm->run_size);
    close(vm->vcpus[id].fd);
  }
  close(vm->fd);
  close(vm->kvm);
  munmap(vm->memory, MEMORY);
}

static struct kvm_segment flat(uint16_t selector, uint8_t type) {
  return (struct kvm_segment){
      .limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .db = 1, .s = 1, .g = 1};
}

void vm_enter(struct vm* vm, int id, const struct guest* guest, uint64_t exits) {
  struct vcpu* vcpu = &vm->vcpus[id];
  memcpy(vm->memory + PROGRAM(id), guest->code, guest->size);
  struct kvm_sregs sregs;
  must(ioctl(vcpu->fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
  sregs.cr0 |= 1;
  sregs.cs = flat(8, 11);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat(16, 3);
  must(ioctl(vcpu->fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
  struct kvm_regs regs = {.rip = PROGRAM(id), .rsp = PROGRAM(id), .rcx = exits, .rflags = 2};
  must(ioctl(vcpu->fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
  struct script* script = (struct script*)((char*)vcpu->run + SCRIPT_AT);
  *script = (struct script){SCRIPT_MAGIC, exits + 1, guest->each, guest->last};
}
