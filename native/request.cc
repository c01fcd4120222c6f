#include "request.h"

#include <linux/ioctl.h>
#include <linux/kvm.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "handle.h"

namespace {

constexpr uint8_t kRefusedNumbers[] = {
    0x01,  // KVM_CREATE_VM
    0x41,  // KVM_CREATE_VCPU
    0x42,  // KVM_GET_DIRTY_LOG
    0x46,  // KVM_SET_USER_MEMORY_REGION
    0x49,  // KVM_SET_USER_MEMORY_REGION2
    0x71,  // KVM_REINJECT_CONTROL: takes an address though its number says it has no argument
    0x76,  // KVM_IRQFD
    0x79,  // KVM_IOEVENTFD
    0x7a,  // KVM_XEN_HVM_CONFIG
    0x80,  // KVM_RUN
    0x8b,  // KVM_SET_SIGNAL_MASK
    0xab,  // KVM_GET_ONE_REG
    0xac,  // KVM_SET_ONE_REG
    0xba,  // KVM_MEMORY_ENCRYPT_OP
    0xbb,  // KVM_MEMORY_ENCRYPT_REG_REGION
    0xbc,  // KVM_MEMORY_ENCRYPT_UNREG_REGION
    0xbd,  // KVM_HYPERV_EVENTFD
    0xbe,  // KVM_GET_NESTED_STATE: its size lies in the struct, not in its number
    0xbf,  // KVM_SET_NESTED_STATE
    0xc0,  // KVM_CLEAR_DIRTY_LOG
    0xc6,  // KVM_X86_SET_MSR_FILTER
    0xc8,  // KVM_XEN_HVM_GET_ATTR
    0xc9,  // KVM_XEN_HVM_SET_ATTR
    0xca,  // KVM_XEN_VCPU_GET_ATTR
    0xcb,  // KVM_XEN_VCPU_SET_ATTR
    0xce,  // KVM_GET_STATS_FD
    0xd4,  // KVM_CREATE_GUEST_MEMFD
    0xe0,  // KVM_CREATE_DEVICE
    0xe1,  // KVM_SET_DEVICE_ATTR
    0xe2,  // KVM_GET_DEVICE_ATTR
    0xe3,  // KVM_HAS_DEVICE_ATTR
};

// Structs that end in an array: the number encodes the head alone, and the kernel trusts the count that lies in it.
struct ArrayRequest {
  uint8_t nr;
  size_t count_offset;
  size_t entry_size;
  size_t count_size = 4;
};
constexpr ArrayRequest kArrayRequests[] = {
    {0x02, 0, 4},                                       // KVM_GET_MSR_INDEX_LIST
    {0x05, 0, sizeof(kvm_cpuid_entry2)},                // KVM_GET_SUPPORTED_CPUID
    {0x09, 0, sizeof(kvm_cpuid_entry2)},                // KVM_GET_EMULATED_CPUID
    {0x0a, 0, 4},                                       // KVM_GET_MSR_FEATURE_INDEX_LIST
    {0x6a, 0, sizeof(kvm_irq_routing_entry)},           // KVM_SET_GSI_ROUTING
    {0x88, 0, sizeof(kvm_msr_entry)},                   // KVM_GET_MSRS
    {0x89, 0, sizeof(kvm_msr_entry)},                   // KVM_SET_MSRS
    {0x8a, 0, sizeof(kvm_cpuid_entry)},                 // KVM_SET_CPUID
    {0x90, 0, sizeof(kvm_cpuid_entry2)},                // KVM_SET_CPUID2
    {0x91, 0, sizeof(kvm_cpuid_entry2)},                // KVM_GET_CPUID2
    {0xb0, 0, 8, 8},                                    // KVM_GET_REG_LIST
    {0xb2, offsetof(kvm_pmu_event_filter, nevents), 8}, // KVM_SET_PMU_EVENT_FILTER
    {0xc1, 0, sizeof(kvm_cpuid_entry2)},                // KVM_GET_SUPPORTED_HV_CPUID
};

// The XSAVE area is as large as the guest's features make it, whatever the number says. No CPU's is near this size.
constexpr size_t kXsaveRoom = 64 << 10;
constexpr uint32_t kGetXsave2 = _IOR(KVMIO, 0xcf, struct kvm_xsave);

bool IsXsave(uint32_t request) {
  return request == KVM_GET_XSAVE || request == KVM_SET_XSAVE || request == kGetXsave2;
}

// Capabilities whose arguments are an address or a file descriptor.
constexpr uint32_t kRefusedCaps[] = {
    163,  // KVM_CAP_HYPERV_ENLIGHTENED_VMCS
    196,  // KVM_CAP_SGX_ATTRIBUTE
    197,  // KVM_CAP_VM_COPY_ENC_CONTEXT_FROM
    206,  // KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM
};

[[noreturn]] void Refuse(Napi::Env env, uint32_t request, const char* why) {
  char number[16];
  snprintf(number, sizeof number, "0x%08x", request);
  Napi::TypeError error = Napi::TypeError::New(env, std::string("ioctl ") + number + " is refused: " + why);
  error.Set("code", Napi::String::New(env, "ERR_IOCTL_REFUSED"));
  throw error;
}

void CheckNumber(Napi::Env env, uint32_t request) {
  if (_IOC_TYPE(request) != KVMIO) Refuse(env, request, "it is not a KVM request");
  for (uint8_t nr : kRefusedNumbers)
    if (_IOC_NR(request) == nr)
      Refuse(env, request, "it carries an address or a file descriptor, or has a method of its own");
}

}  // namespace

size_t CheckBuffer(Napi::Env env, uint32_t request, const uint8_t* data, size_t size) {
  CheckNumber(env, request);
  const size_t head = _IOC_SIZE(request);
  if (head == 0) Refuse(env, request, "its number says that it takes no buffer");
  if (IsXsave(request)) {
    if (size < head || size > kXsaveRoom)
      throw ArgumentError(env, "the buffer has " + std::to_string(size) + " bytes, an XSAVE area has " +
                                   std::to_string(head) + " to " + std::to_string(kXsaveRoom));
    return kXsaveRoom;
  }
  uint64_t need = head;
  bool array = false;
  for (const ArrayRequest& known : kArrayRequests) {
    if (known.nr != _IOC_NR(request)) continue;
    array = true;
    if (size < head || size < known.count_offset + known.count_size) break;
    uint64_t count = 0;
    memcpy(&count, data + known.count_offset, known.count_size);
    // A count past 32 bits would wrap the product.
    need = count > UINT32_MAX ? UINT64_MAX : head + count * known.entry_size;
  }
  if (array ? size < need : size != need)
    throw ArgumentError(env, "the buffer has " + std::to_string(size) + " bytes, the request needs " +
                                 std::to_string(need));
  if (request == KVM_ENABLE_CAP) {
    uint32_t cap;
    memcpy(&cap, data, sizeof cap);
    for (uint32_t refused : kRefusedCaps)
      if (cap == refused) Refuse(env, request, "the capability's arguments are an address or a file descriptor");
  }
  return array || request == KVM_ENABLE_CAP ? size : 0;
}

void CheckNoBuffer(Napi::Env env, uint32_t request) {
  CheckNumber(env, request);
  if (_IOC_SIZE(request) != 0)
    throw ArgumentError(env, "the request needs a buffer of " + std::to_string(_IOC_SIZE(request)) + " bytes");
}
