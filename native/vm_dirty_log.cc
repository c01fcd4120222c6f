#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <vector>

#include "vm.h"

namespace {

constexpr uint64_t kPageSize = 4096;

// The kernel handles a dirty bitmap in words of 64 pages.
uint64_t BitmapBytes(uint64_t pages) { return (pages + 63) / 64 * 8; }

}  // namespace

// (slot, bitmap): fills the bitmap, 8 bytes for each 64 pages of the slot. 0, or the errno negated.
Napi::Value Vm::GetDirtyLog(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VmState& vm = state(env);
  kvm_dirty_log log = {};
  log.slot = static_cast<uint32_t>(IntegerArgument(info, 0, "slot", UINT32_MAX));
  Bytes bitmap = BytesArgument(info, 1, "bitmap");
  auto slot = vm.slots.find(log.slot);
  if (slot == vm.slots.end()) throw ArgumentError(env, "the slot has no memory");
  if (bitmap.size < BitmapBytes(slot->second.bytes / kPageSize))
    throw ArgumentError(env, "the bitmap is too short for the slot");
  log.dirty_bitmap = bitmap.data;
  return Napi::Number::New(env, ioctl(vm.fd.get(), KVM_GET_DIRTY_LOG, &log) < 0 ? -errno : 0);
}

// (slot, first_page, num_pages, bitmap): 0, or the errno negated.
Napi::Value Vm::ClearDirtyLog(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VmState& vm = state(env);
  kvm_clear_dirty_log log = {};
  log.slot = static_cast<uint32_t>(IntegerArgument(info, 0, "slot", UINT32_MAX));
  log.first_page = IntegerArgument(info, 1, "first_page", MAX_SAFE_INTEGER);
  log.num_pages = static_cast<uint32_t>(IntegerArgument(info, 2, "num_pages", UINT32_MAX));
  Bytes bitmap = BytesArgument(info, 3, "bitmap");
  if (bitmap.size < BitmapBytes(log.num_pages)) throw ArgumentError(env, "the bitmap is too short for the pages");
  log.dirty_bitmap = bitmap.data;
  return Napi::Number::New(env, ioctl(vm.fd.get(), KVM_CLEAR_DIRTY_LOG, &log) < 0 ? -errno : 0);
}
