// A device of a VM: vfio, and whatever KVM_CREATE_DEVICE makes.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/owned_fd.h"
#include "../core/vm_state.h"
#include "tagged.h"

// A device of a VM (KVM_CREATE_DEVICE): `setAttr`, `getAttr`, `hasAttr`, `close`.
class Device : public Tagged<Device> {
 public:
  static constexpr uint64_t kTag = 1;
  static constexpr const char* kName = "Device";

  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, std::shared_ptr<VmState> vm, OwnedFd fd, uint32_t type);
  explicit Device(const Napi::CallbackInfo& info);

  struct Parts {
    std::shared_ptr<VmState> vm;
    OwnedFd fd;
    uint32_t type = 0;
  };

 private:
  Napi::Value Attr(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  Parts parts_;
};

// deviceAttr(handle, request, group, attr: bigint, payload | null, event | null): KVM_SET/GET/HAS_DEVICE_ATTR on a
// System, a Vm or a Vcpu.
Napi::Value DeviceAttrOf(const Napi::CallbackInfo& info);
