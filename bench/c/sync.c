// KVM_RUN on the calling thread, and calls of a vCPU or a VM that is out of the guest.
#include "cases.h"

// The answer is looked at, so that the loop is a loop over exits and not over calls.
volatile uint64_t looked_at;

static uint64_t look(const struct vcpu* vcpu, uint32_t reason) {
  const struct kvm_run* run = vcpu->run;
  switch (reason) {
    case KVM_EXIT_IO:
      return run->io.port + *(const uint32_t*)((const char*)run + run->io.data_offset);
    case KVM_EXIT_MMIO:
      return run->mmio.phys_addr + *(const uint32_t*)run->mmio.data;
    default:
      return reason + *(const uint32_t*)run->padding;
  }
}

void run_on_this_thread(struct timer* timer, uint64_t exits, const struct work* work) {
  struct vm vm;
  vm_make(&vm, 1);
  vm_enter(&vm, 0, guest_of(work->guest), exits + 1);
  vcpu_run(&vm.vcpus[0]);
  timer_start(timer);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < exits; i++) sum += look(&vm.vcpus[0], vcpu_run(&vm.vcpus[0]));
  timer_stop(timer);
  looked_at = sum;
  vm_close(&vm);
}

void get_regs(struct timer* timer, uint64_t calls, const struct work* work) {
  struct vm vm;
  struct kvm_regs regs;
  vm_make(&vm, 1);
  vm_enter(&vm, 0, guest_of(work->guest), 1);
  must(ioctl(vm.vcpus[0].fd, KVM_GET_REGS, &regs), "KVM_GET_REGS");
  timer_start(timer);
  uint64_t sum = 0;
  for (uint64_t i = 0; i < calls; i++) {
    must(ioctl(vm.vcpus[0].fd, KVM_GET_REGS, &regs), "KVM_GET_REGS");
    sum += regs.rip;
  }
  timer_stop(timer);
  looked_at = sum;
  vm_close(&vm);
}

void signal_msi(struct timer* timer, uint64_t calls, const struct work* work) {
  (void)work;
  struct vm vm;
  struct kvm_msi msi = {.address_lo = 0xfee00000, .data = 0x40};
  vm_make(&vm, 1);
  timer_start(timer);
  for (uint64_t i = 0; i < calls; i++) must(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), "KVM_SIGNAL_MSI");
  timer_stop(timer);
  vm_close(&vm);
}

// Source: RFC PATCH v2 3/3.
struct dsm_ipi_arg {
  int32_t vcpu_id;
  uint32_t val, val2, dest_id;
};
#define KVM_DSM_IPI _IOW(KVMIO, 0xf3, struct dsm_ipi_arg)

// A pair of writes, as a guest makes them: ICR2, then ICR.
void dsm_ipi(struct timer* timer, uint64_t calls, const struct work* work) {
  (void)work;
  struct vm vm;
  struct dsm_ipi_arg icr2 = {0, 0x310, 0, 0}, icr = {0, 0x300, 0x4040, 0};
  vm_make(&vm, 1);
  timer_start(timer);
  // What the kernel answers is no error: rfc-v2 hands on what the write of the register returns.
  for (uint64_t i = 0; i < calls; i++) {
    looked_at = ioctl(vm.fd, KVM_DSM_IPI, &icr2);
    looked_at = ioctl(vm.fd, KVM_DSM_IPI, &icr);
  }
  timer_stop(timer);
  vm_close(&vm);
}

void make_run_close(struct timer* timer, uint64_t machines, const struct work* work) {
  timer_start(timer);
  for (uint64_t i = 0; i < machines; i++) {
    struct vm vm;
    vm_make(&vm, 1);
    vm_enter(&vm, 0, guest_of(work->guest), 1);
    looked_at = look(&vm.vcpus[0], vcpu_run(&vm.vcpus[0]));
    vm_close(&vm);
  }
  timer_stop(timer);
}
