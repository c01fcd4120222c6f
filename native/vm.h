#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "handle.h"
#include "mapping.h"

// What a VM and each of its vCPUs hold together: as long as a vCPU can run, the memory behind its slots stays mapped.
struct VmState {
  VmState(OwnedFd vm, size_t kvm_run_size) : fd(std::move(vm)), run_size(kvm_run_size) {}

  struct Slot {
    std::shared_ptr<MappedRange> range;
    uint64_t bytes;
  };
  // An eventfd that KVM was given: an irqfd by its gsi, an ioeventfd by its address.
  struct Event {
    std::shared_ptr<OwnedFd> fd;
    std::shared_ptr<OwnedFd> resample;
    bool io;
    uint64_t place;
  };

  OwnedFd fd;
  size_t run_size;
  std::map<uint32_t, Slot> slots;
  std::vector<Event> events;
};

// A VM: `ioctl`, `createVcpu(id)`, what takes an address or a file descriptor (memory slots, dirty logs, MSR filters,
// irqfds, ioeventfds, devices), `close`.
class Vm : public Napi::ObjectWrap<Vm> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, std::shared_ptr<VmState> state);
  explicit Vm(const Napi::CallbackInfo& info);

  // Throws if it is closed.
  int fd(Napi::Env env) const { return state(env).fd.get(); }

 private:
  Napi::Value Ioctl(const Napi::CallbackInfo& info);
  Napi::Value CreateVcpu(const Napi::CallbackInfo& info);
  Napi::Value SetUserMemoryRegion(const Napi::CallbackInfo& info);
  Napi::Value GetDirtyLog(const Napi::CallbackInfo& info);
  Napi::Value ClearDirtyLog(const Napi::CallbackInfo& info);
  Napi::Value SetMsrFilter(const Napi::CallbackInfo& info);
  Napi::Value Irqfd(const Napi::CallbackInfo& info);
  Napi::Value Ioeventfd(const Napi::CallbackInfo& info);
  Napi::Value CreateDevice(const Napi::CallbackInfo& info);
  Napi::Value ReinjectControl(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  VmState& state(Napi::Env env) const;

  std::shared_ptr<VmState> state_;
};
