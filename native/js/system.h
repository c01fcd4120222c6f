// /dev/kvm.
#pragma once

#include <napi.h>

#include "../core/owned_fd.h"
#include "tagged.h"

// The open /dev/kvm: `System.open(path)`, `ioctl`, `createVm(type)`, `close`.
class System : public Tagged<System> {
 public:
  static constexpr uint64_t kTag = 5;
  static constexpr const char* kName = "System";

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
