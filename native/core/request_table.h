// How KVM's requests take their argument. Made of lib/abi/kvm/requests.ts by npm run build:requests: not to be edited.
#pragma once

#include <cstddef>
#include <cstdint>

// By _IOC_NR: refused, whatever size and direction the number claims.
constexpr uint8_t kMethodRequests[] = {
    0x01,  // KVM_CREATE_VM
    0x41,  // KVM_CREATE_VCPU
    0x42,  // KVM_GET_DIRTY_LOG
    0x46,  // KVM_SET_USER_MEMORY_REGION
    0x49,  // KVM_SET_USER_MEMORY_REGION2
    0x71,  // KVM_REINJECT_CONTROL
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
    0xbe,  // KVM_GET_NESTED_STATE
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

// By _IOC_NR: structs that end in an array. The number encodes the head alone, and the kernel trusts the count in it.
struct ArrayRequest {
  uint8_t nr;
  size_t count_offset;
  size_t count_size;
  size_t entry_size;
};
constexpr ArrayRequest kArrayRequests[] = {
    {0x02, 0, 4, 4},   // KVM_GET_MSR_INDEX_LIST
    {0x05, 0, 4, 40},  // KVM_GET_SUPPORTED_CPUID
    {0x09, 0, 4, 40},  // KVM_GET_EMULATED_CPUID
    {0x0a, 0, 4, 4},   // KVM_GET_MSR_FEATURE_INDEX_LIST
    {0x6a, 0, 4, 48},  // KVM_SET_GSI_ROUTING
    {0x88, 0, 4, 16},  // KVM_GET_MSRS
    {0x89, 0, 4, 16},  // KVM_SET_MSRS
    {0x8a, 0, 4, 24},  // KVM_SET_CPUID
    {0x90, 0, 4, 40},  // KVM_SET_CPUID2
    {0x91, 0, 4, 40},  // KVM_GET_CPUID2
    {0xb0, 0, 8, 8},   // KVM_GET_REG_LIST
    {0xb2, 4, 4, 8},   // KVM_SET_PMU_EVENT_FILTER
    {0xc1, 0, 4, 40},  // KVM_GET_SUPPORTED_HV_CPUID
};

// The whole number: the XSAVE area, which is as large as the guest's features make it, whatever the number says.
constexpr uint32_t kXsaveRequests[] = {
    0x9000aea4,  // KVM_GET_XSAVE
    0x5000aea5,  // KVM_SET_XSAVE
    0x9000aecf,  // KVM_GET_XSAVE2
};

// Of KVM_ENABLE_CAP: the arguments are an address or a file descriptor.
constexpr uint32_t kRefusedCapabilities[] = {
    163,  // KVM_CAP_HYPERV_ENLIGHTENED_VMCS
    196,  // KVM_CAP_SGX_ATTRIBUTE
    197,  // KVM_CAP_VM_COPY_ENC_CONTEXT_FROM
    206,  // KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM
};
