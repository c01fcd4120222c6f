#pragma once

#include <napi.h>

#include <memory>

#include "handle.h"
#include "mapping.h"
#include "vm.h"

struct VcpuParts {
  std::shared_ptr<VmState> vm;
  OwnedFd fd;
  std::shared_ptr<MappedRange> run;
};

// A vCPU: `kvmRun` (the mapped struct kvm_run), `ioctl`, `run(seconds)`, `close`.
class Vcpu : public Napi::ObjectWrap<Vcpu> {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, VcpuParts parts);
  explicit Vcpu(const Napi::CallbackInfo& info);

  // Throws if it is closed.
  int fd(Napi::Env env) { return parts(env).fd.get(); }

 private:
  Napi::Value KvmRun(const Napi::CallbackInfo& info);
  Napi::Value Ioctl(const Napi::CallbackInfo& info);
  Napi::Value Run(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  VcpuParts& parts(Napi::Env env);

  VcpuParts parts_;
  Napi::Reference<Napi::ArrayBuffer> kvm_run_;
};
