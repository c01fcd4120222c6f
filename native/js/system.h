// /dev/kvm.
#pragma once

#include <napi.h>

#include "../core/owned_fd.h"

// The open /dev/kvm: `System.open(path)`, `ioctl`, `createVm(type)`, `close`.
class System : public Napi::ObjectWrap<System> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit System(const Napi::CallbackInfo& info);

  // Throws if it is closed.
  int fd(Napi::Env env) const;

 private:
  Napi::Value Ioctl(const Napi::CallbackInfo& info);
  Napi::Value CreateVm(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  OwnedFd fd_;
};
