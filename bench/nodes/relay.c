// What one would write by hand to join two VMs of one process: the thread of a vCPU that comes out with an ICR write replays it in the other VM,
// and goes on. Takes the guests as the kit has made them: their memory from a file, and where each vCPU begins; prints what vCPU 0 has
// measured, one number a line.
//
//   relay <memory> <address of the table> <count> <registers of vCPU 0> <registers of vCPU 1>
//
// Registers: rip,rsp,rflags,cs,ds,gdt base,gdt limit,idt base,idt limit in decimal.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../c/vm.h"

// Source: RFC PATCH v2, 1/3 and 3/3.
#define KVM_EXIT_DSM_SEND_IRQ 45
struct dsm_ipi {
  int32_t vcpu_id;
  uint32_t val, val2, dest_id;
};
#define KVM_DSM_IPI _IOW(KVMIO, 0xf3, struct dsm_ipi)

#define NODES 2

static struct vm nodes[NODES];

static void place(struct vm* vm, uint8_t* memory, size_t size) {
  struct kvm_userspace_memory_region region = {.slot = 0};
  must(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
  region.memory_size = size;
  region.userspace_addr = (uintptr_t)memory;
  must(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
}

static struct kvm_segment flat(uint16_t selector, uint8_t type) {
  return (struct kvm_segment){
      .limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .db = 1, .s = 1, .g = 1};
}

static void enter(struct vcpu* vcpu, const char* text) {
  unsigned long long rip, rsp, rflags, gdt, idt;
  unsigned cs, ds, gdt_limit, idt_limit;
  struct kvm_sregs sregs;
  if (sscanf(text, "%llu,%llu,%llu,%u,%u,%llu,%u,%llu,%u", &rip, &rsp, &rflags, &cs, &ds, &gdt, &gdt_limit, &idt,
             &idt_limit) != 9) {
    fprintf(stderr, "no registers: %s\n", text);
    exit(2);
  }
  must(ioctl(vcpu->fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
  sregs.cr0 |= 1;
  sregs.cs = flat(cs, 11);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat(ds, 3);
  sregs.gdt.base = gdt;
  sregs.gdt.limit = gdt_limit;
  sregs.idt.base = idt;
  sregs.idt.limit = idt_limit;
  must(ioctl(vcpu->fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
  struct kvm_regs regs = {.rip = rip, .rsp = rsp, .rflags = rflags};
  must(ioctl(vcpu->fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

// Until it writes to a port: it is done then.
static void* run(void* argument) {
  long node = (long)argument;
  struct vcpu* vcpu = &nodes[node].vcpus[node];
  uint32_t reason;
  while ((reason = vcpu_run(vcpu)) == KVM_EXIT_DSM_SEND_IRQ) {
    struct dsm_ipi write;
    memcpy(&write, vcpu->run->padding, sizeof write);
    write.dest_id = 0;
    // What the kernel answers is no error: rfc-v2 hands on what the write of the register returns.
    ioctl(nodes[!node].fd, KVM_DSM_IPI, &write);
  }
  if (reason == KVM_EXIT_IO) return 0;
  fprintf(stderr, "vCPU %ld came out with %u\n", node, reason);
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 4 + NODES) return 2;
  int file = must(open(argv[1], O_RDONLY), argv[1]);
  struct stat stat;
  must(fstat(file, &stat), argv[1]);
  uint8_t* memory = mmap(0, stat.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  must(memory == MAP_FAILED ? -1 : 0, "mmap");
  for (long node = 0; node < NODES; node++) {
    vm_make(&nodes[node], NODES);
    place(&nodes[node], memory, stat.st_size);
    enter(&nodes[node].vcpus[node], argv[4 + node]);
  }
  pthread_t other;
  pthread_create(&other, 0, run, (void*)1);
  run((void*)0);
  const uint32_t* table = (const uint32_t*)(memory + strtoul(argv[2], 0, 10));
  for (unsigned long i = 0; i < strtoul(argv[3], 0, 10); i++) printf("%u\n", table[i]);
  fflush(stdout);
  // vCPU 1 waits for another interrupt, which nobody sends.
  _exit(0);
}
