// The MSR filter of a VM.
#include <linux/kvm.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "../core/undisturbed.h"
#include "arguments.h"
#include "errors.h"
#include "vm.h"

// (filter, bitmaps): the bytes of a struct kvm_msr_filter whose bitmap addresses are filled in here, and an array with a
// buffer for each of its ranges. 0, or the errno negated. The kernel keeps copies of the bitmaps.
Napi::Value Vm::SetMsrFilter(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VmState& vm = state(env);
  Bytes bytes = BytesArgument(info, 0, "filter");
  kvm_msr_filter filter;
  if (bytes.size != sizeof filter) throw ArgumentError(env, "the filter is no struct kvm_msr_filter");
  memcpy(&filter, bytes.data, sizeof filter);
  if (!info[1].IsArray()) throw ArgumentError(env, "bitmaps is not an array");
  auto bitmaps = info[1].As<Napi::Array>();
  std::vector<uint8_t> copies[KVM_MSR_FILTER_MAX_RANGES];
  for (uint32_t i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
    kvm_msr_filter_range& range = filter.ranges[i];
    range.bitmap = nullptr;
    if (range.nmsrs == 0) continue;
    Bytes bitmap = BytesOf(bitmaps.Get(i), "bitmap");
    // The kernel reads whole words.
    if (bitmap.size < (static_cast<uint64_t>(range.nmsrs) + 63) / 64 * 8)
      throw ArgumentError(env, "a bitmap is too short for its range");
    copies[i].assign(bitmap.data, bitmap.data + bitmap.size);
    range.bitmap = copies[i].data();
  }
  return Answer(env, UndisturbedIoctl(vm.fd.get(), KVM_X86_SET_MSR_FILTER, &filter));
}
