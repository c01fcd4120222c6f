#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>

#include "handle.h"
#include "mapping.h"

// What a VM and each of its vCPUs hold together: as long as a vCPU can run, the memory behind its slots stays mapped.
struct VmState {
  VmState(OwnedFd vm, size_t kvm_run_size) : fd(std::move(vm)), run_size(kvm_run_size) {}

  OwnedFd fd;
  size_t run_size;
  std::map<uint32_t, std::shared_ptr<MappedRange>> slots;
};

// A VM: `ioctl`, `createVcpu(id)`, `setUserMemoryRegion(...)`, `close`.
class Vm : public Napi::ObjectWrap<Vm> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, std::shared_ptr<VmState> state);
  explicit Vm(const Napi::CallbackInfo& info);

 private:
  Napi::Value Ioctl(const Napi::CallbackInfo& info);
  Napi::Value CreateVcpu(const Napi::CallbackInfo& info);
  Napi::Value SetUserMemoryRegion(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  VmState& state(Napi::Env env) const;

  std::shared_ptr<VmState> state_;
};
