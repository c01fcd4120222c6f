// The statistics of a VM or a vCPU.
#pragma once

#include <napi.h>

#include "../core/owned_fd.h"

// The statistics of a VM or a vCPU (KVM_GET_STATS_FD): `read(offset, buffer)`, `close()`.
class Stats : public Napi::ObjectWrap<Stats> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit Stats(const Napi::CallbackInfo& info);

 private:
  Napi::Value Read(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  OwnedFd fd_;
};

// statsOf(handle): a Stats of a Vm or a Vcpu, or the errno negated.
Napi::Value StatsOf(const Napi::CallbackInfo& info);
