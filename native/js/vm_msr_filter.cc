// The MSR filter of a VM.
#include <linux/kvm.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "../core/undisturbed.h"
#include "arguments.h"
#include "errors.h"
#include "vm.h"

// (filter, bitmaps): the bytes of a struct kvm_msr_filter whose bitmap addresses are filled in here, and the bitmaps of its
// ranges one behind the other, each in whole words. 0, or the errno negated. The kernel keeps copies of the bitmaps.
Napi::Value Vm::SetMsrFilter(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
#if defined(__x86_64__)
  Bytes bytes = BytesArgument(info, 0, "filter");
  Bytes bitmaps = BytesArgument(info, 1, "bitmaps");
  kvm_msr_filter filter;
  if (bytes.size != sizeof filter) throw ArgumentError(env, "the filter is no struct kvm_msr_filter");
  memcpy(&filter, bytes.data, sizeof filter);
  // The kernel's words have to be aligned.
  std::vector<uint64_t> words(bitmaps.size / sizeof(uint64_t));
  if (!words.empty()) memcpy(words.data(), bitmaps.data, words.size() * sizeof(uint64_t));
  size_t taken = 0;
  for (kvm_msr_filter_range& range : filter.ranges) {
    range.bitmap = nullptr;
    if (range.nmsrs == 0) continue;
    uint64_t needed = (static_cast<uint64_t>(range.nmsrs) + 63) / 64;
    if (needed > words.size() - taken) throw ArgumentError(env, "the bitmaps are too short for the ranges");
    range.bitmap = reinterpret_cast<uint8_t*>(words.data() + taken);
    taken += needed;
  }
  VmState& vm = state(env);
  return Answer(env, UndisturbedIoctl(vm.fd.get(), KVM_X86_SET_MSR_FILTER, &filter));
#else
  // There are no MSRs.
  errno = ENOTTY;
  return Answer(env, -1);
#endif
}
