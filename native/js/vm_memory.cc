// The memory slots of a VM, and their dirty logs.
#include <linux/kvm.h>

#include <cerrno>

#include "../core/undisturbed.h"
#include "arguments.h"
#include "errors.h"
#include "mapping.h"
#include "vm.h"

namespace {

constexpr uint64_t kPageSize = 4096;

// The kernel handles a dirty bitmap in words of 64 pages.
uint64_t BitmapBytes(uint64_t pages) { return (pages + 63) / 64 * 8; }

}  // namespace

// (slot, flags, guest_phys_addr: bigint, mapping | null, offset, memory_size): 0, or the errno negated. The kernel
// reads the address of the mapping from here alone: no address ever comes from JavaScript.
Napi::Value Vm::SetUserMemoryRegion(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  kvm_userspace_memory_region region = {};
  region.slot = static_cast<uint32_t>(IntegerArgument(info, 0, "slot", UINT32_MAX));
  region.flags = static_cast<uint32_t>(IntegerArgument(info, 1, "flags", UINT32_MAX));
  region.guest_phys_addr = BigIntArgument(info, 2, "guest_phys_addr");
  uint64_t offset = IntegerArgument(info, 4, "offset", MAX_SAFE_INTEGER);
  region.memory_size = IntegerArgument(info, 5, "memory_size", MAX_SAFE_INTEGER);

  std::shared_ptr<MappedRange> range;
  if (!info[3].IsNull()) {
    Mapping* mapping = Mapping::Of(info[3]);
    if (!mapping) throw ArgumentError(env, "memory is not a Mapping");
    range = mapping->range(env);
    if (offset > range->size() || region.memory_size > range->size() - offset)
      throw ArgumentError(env, "the region reaches past the end of the mapping");
    region.userspace_addr = reinterpret_cast<uint64_t>(range->data()) + offset;
  } else if (region.memory_size != 0) {
    throw ArgumentError(env, "a region with a size needs a mapping");
  }

  VmState& vm = state(env);
  if (UndisturbedIoctl(vm.fd.get(), KVM_SET_USER_MEMORY_REGION, &region) < 0) return Answer(env, -1);
  if (range && region.memory_size != 0)
    vm.slots[region.slot] = {range, region.memory_size};
  else
    vm.slots.erase(region.slot);
  return Napi::Number::New(env, 0);
}

// (slot, bitmap): fills the bitmap, 8 bytes for each 64 pages of the slot. 0, or the errno negated.
Napi::Value Vm::GetDirtyLog(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  kvm_dirty_log log = {};
  log.slot = static_cast<uint32_t>(IntegerArgument(info, 0, "slot", UINT32_MAX));
  Bytes bitmap = BytesArgument(info, 1, "bitmap");
  VmState& vm = state(env);
  auto slot = vm.slots.find(log.slot);
  if (slot == vm.slots.end()) throw ArgumentError(env, "the slot has no memory");
  if (bitmap.size < BitmapBytes(slot->second.bytes / kPageSize))
    throw ArgumentError(env, "the bitmap is too short for the slot");
  log.dirty_bitmap = bitmap.data;
  return Answer(env, UndisturbedIoctl(vm.fd.get(), KVM_GET_DIRTY_LOG, &log));
}

// (slot, first_page, num_pages, bitmap): 0, or the errno negated.
Napi::Value Vm::ClearDirtyLog(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  kvm_clear_dirty_log log = {};
  log.slot = static_cast<uint32_t>(IntegerArgument(info, 0, "slot", UINT32_MAX));
  log.first_page = IntegerArgument(info, 1, "first_page", MAX_SAFE_INTEGER);
  log.num_pages = static_cast<uint32_t>(IntegerArgument(info, 2, "num_pages", UINT32_MAX));
  Bytes bitmap = BytesArgument(info, 3, "bitmap");
  if (bitmap.size < BitmapBytes(log.num_pages)) throw ArgumentError(env, "the bitmap is too short for the pages");
  log.dirty_bitmap = bitmap.data;
  VmState& vm = state(env);
  return Answer(env, UndisturbedIoctl(vm.fd.get(), KVM_CLEAR_DIRTY_LOG, &log));
}
