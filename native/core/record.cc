// From kvm_run into a record.
#include "record.h"

#include <cstring>

bool Recordable(const kvm_run* run, size_t run_size, const RecordPlan& plan) {
  if (run->exit_reason >= plan.reasons.size() || !plan.reasons[run->exit_reason]) return false;
  switch (run->exit_reason) {
    case KVM_EXIT_IO: {
      size_t bytes = static_cast<size_t>(run->io.size) * run->io.count;
      return run->io.direction == KVM_EXIT_IO_OUT && bytes <= plan.io_bytes && run->io.data_offset <= run_size &&
             bytes <= run_size - run->io.data_offset;
    }
    case KVM_EXIT_MMIO:
      return run->mmio.is_write;
    case KVM_EXIT_HYPERV:
      return run->hyperv.type == KVM_EXIT_HYPERV_SYNIC;
    case KVM_EXIT_X86_RDMSR:
      return false;
    default:
      return true;
  }
}

bool Record(const kvm_run* run, const RecordPlan& plan, uint64_t seq, uint64_t ns) {
  uint8_t* slot = plan.ring->Reserve();
  if (!slot) return false;
  RecordHeader header = {seq, ns, 0, run->exit_reason, 0, 0};
  if (plan.rip) {
    header.rip = run->s.regs.regs.rip;
    header.flags |= kRecordRip;
  }
  const uint8_t* page = reinterpret_cast<const uint8_t*>(run);
  if (run->exit_reason == KVM_EXIT_IO) {
    header.io_bytes = static_cast<uint16_t>(run->io.size * run->io.count);
    memcpy(slot + sizeof header + plan.union_bytes, page + run->io.data_offset, header.io_bytes);
  }
  memcpy(slot, &header, sizeof header);
  memcpy(slot + sizeof header, page + offsetof(kvm_run, io), plan.union_bytes);
  plan.ring->Publish();
  return true;
}
