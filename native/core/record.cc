// From kvm_run into a record.
#include "record.h"

#include <cstring>

#include "shared_run.h"
#include "synced_regs.h"

namespace {

static_assert(sizeof(kvm_run::mmio) == kDecidingBytes, "the layout of kvm_run.mmio");
static_assert(kUnion % 8 == 0 && offsetof(kvm_run, kvm_valid_regs) - kUnion == kRunUnionBytes, "the union of kvm_run");

bool TakeIo(TakenExit& exit, size_t run_size, const RecordPlan& plan) {
  Io io;
  memcpy(&io, exit.bytes, sizeof io);
  if (io.direction != KVM_EXIT_IO_OUT || (io.size != 1 && io.size != 2 && io.size != 4)) return false;
  uint64_t bytes = uint64_t{io.size} * io.count;
  if (bytes > plan.io_bytes || io.data_offset > run_size || bytes > run_size - io.data_offset) return false;
  exit.data_offset = io.data_offset;
  exit.io_bytes = static_cast<uint16_t>(bytes);
  return true;
}

// Words, so that each is read once; kvm_run's union and a record's begin at multiples of 8.
void CopyWords(uint8_t* to, const uint8_t* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    uint64_t word = ReadOnce(*reinterpret_cast<const uint64_t*>(from + at));
    memcpy(to + at, &word, sizeof word < bytes - at ? sizeof word : bytes - at);
  }
}

}  // namespace

bool Take(const kvm_run* run, size_t run_size, const RecordPlan& plan, TakenExit& exit) {
  exit.reason = ReadOnce(run->exit_reason);
  if (exit.reason >= plan.reasons.size() || !plan.reasons[exit.reason]) return false;
  const auto* page = reinterpret_cast<const uint8_t*>(run);
  if (plan.rip) exit.rip = SyncedRip(run);
  exit.taken = 0;
  switch (exit.reason) {
    case KVM_EXIT_IO:
      exit.taken = sizeof(Io);
      CopyWords(exit.bytes, page + kUnion, exit.taken);
      return TakeIo(exit, run_size, plan);
    case KVM_EXIT_MMIO:
      exit.taken = sizeof exit.bytes;
      CopyWords(exit.bytes, page + kUnion, exit.taken);
      return exit.bytes[kIsWrite] != 0;
    case KVM_EXIT_HYPERV: {
      exit.taken = sizeof(uint64_t);
      CopyWords(exit.bytes, page + kUnion, exit.taken);
      uint32_t type;
      memcpy(&type, exit.bytes, sizeof type);
      return type == KVM_EXIT_HYPERV_SYNIC;
    }
    case KVM_EXIT_X86_RDMSR:
      return false;
    default:
      return true;
  }
}

bool Record(const kvm_run* run, const TakenExit& exit, const RecordPlan& plan, uint64_t seq, uint64_t ns) {
  uint8_t* slot = plan.ring->Reserve();
  if (!slot) return false;
  const auto* page = reinterpret_cast<const uint8_t*>(run);
  RecordHeader header = {seq, ns, exit.rip, exit.reason, plan.rip ? kRecordRip : uint16_t{0}, exit.io_bytes};
  memcpy(slot, &header, sizeof header);
  uint8_t* payload = slot + sizeof header;
  const size_t taken = exit.taken < plan.union_bytes ? exit.taken : plan.union_bytes;
  memcpy(payload, exit.bytes, taken);
  // Of these two all that there is lies in `exit`.
  const bool whole = exit.reason == KVM_EXIT_IO || exit.reason == KVM_EXIT_MMIO;
  if (!whole) CopyWords(payload + taken, page + kUnion + taken, plan.union_bytes - taken);
  memcpy(payload + plan.union_bytes, page + exit.data_offset, exit.io_bytes);
  plan.ring->Publish();
  return true;
}
